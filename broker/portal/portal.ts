// The owner's HTTP API. Nothing is answered without a login but what is marked open; what belongs to
// somebody else is answered like what is not there; nothing is kept by caches.
import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import { type FastifyInstance, fastify } from 'fastify';
import type { Logger } from 'pino';
import { LenscapError } from '../../proto/errors.ts';
import type { ServerConfig } from '../../proto/server-config.ts';
import type { Consent } from '../consent/consent.ts';
import type { Claims } from '../fleet/claims.ts';
import type { Configuration } from '../fleet/configuration.ts';
import type { Lifecycle } from '../fleet/lifecycle.ts';
import { Overview } from '../store/overview.ts';
import type { Store } from '../store/store.ts';
import { answers, type Context, OPEN, WHO } from './context.ts';
import { answerErrors } from './error-answers.ts';
import { type LoggedIn, Logins } from './logins.ts';
import { Recordings } from './recordings.ts';
import { alertRoutes } from './routes/alerts.ts';
import { claimRoutes } from './routes/claims.ts';
import { configRoutes } from './routes/config.ts';
import { consentRoutes } from './routes/consent.ts';
import { deviceInfoRoutes } from './routes/device-info.ts';
import { deviceRoutes } from './routes/devices.ts';
import { eventRoutes } from './routes/events.ts';
import { exportRoutes } from './routes/export.ts';
import { lifecycleRoutes } from './routes/lifecycle.ts';
import { loginRoutes } from './routes/login.ts';
import { logRoutes } from './routes/logs.ts';
import { playRoutes } from './routes/play.ts';
import { segmentRoutes } from './routes/segments.ts';
import { snapshotRoutes } from './routes/snapshots.ts';
import { timelineRoutes } from './routes/timeline.ts';
import { object } from './schemas.ts';

export interface PortalDeps {
  readonly config: ServerConfig['http'];
  readonly store: Store;
  readonly consent: Consent;
  /** Ed25519; the key that receipts are checked with. */
  readonly consentPublicKey: KeyObject;
  readonly claims: Pick<Claims, 'create' | 'list' | 'cancel' | 'claimBoard'>;
  readonly claimLimits: Pick<ServerConfig['claims'], 'failures' | 'maxOpen'>;
  readonly lifecycle: Pick<Lifecycle, 'release' | 'revoke'>;
  readonly configuration: Configuration;
  /** Wall time, microseconds since 1970. */
  readonly nowUs: () => number;
  readonly log: Logger;
  readonly isConnected: (deviceId: string) => boolean;
  /** Sends a command to a camera; false when it is not connected. */
  readonly command: (deviceId: string, payload: Uint8Array) => Promise<boolean>;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without a login. */
    isOpen?: boolean;
  }
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);
const MAX_BODY_BYTES = 64 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
/** Without a byte of progress; a client that reads too slowly is let go. */
const IDLE_TIMEOUT_MS = 120_000;
const MAX_PATH_PART = 1024;

export class Portal {
  readonly #deps: PortalDeps;
  #app: FastifyInstance | undefined;
  #url = '';

  constructor(deps: PortalDeps) {
    this.#deps = deps;
  }

  /**
   * Listens and returns where; calling it again changes nothing.
   * @throws CONFIG_INVALID when it would be open to a network without TLS before it.
   */
  async listen(): Promise<{ url: string; port: number }> {
    const { host, port, publicUrl } = this.#deps.config;
    if (!LOOPBACK.has(host) && !publicUrl?.startsWith('https://'))
      throw new LenscapError(
        'CONFIG_INVALID',
        `/http/host: ${host} is not loopback; put a TLS proxy before it and name its https:// address as publicUrl`,
      );
    this.#app ??= await this.#open(host, port);
    const address = this.#app.server.address();
    return { url: this.#url, port: isAddress(address) ? address.port : port };
  }

  /** Serves until the signal; then lets go of every connection. */
  async run(signal: AbortSignal): Promise<void> {
    await this.listen();
    if (!signal.aborted) await once(signal, 'abort');
    await this.#app?.close();
  }

  async #open(host: string, port: number): Promise<FastifyInstance> {
    const app = await this.#build();
    try {
      const listening = await app.listen({ host, port });
      this.#url = (this.#deps.config.publicUrl ?? listening).replace(/\/+$/, '');
    } catch (error) {
      await app.close();
      throw new LenscapError('CONFIG_INVALID', `/http/port: cannot listen on ${host}:${port}`, {
        cause: error,
      });
    }
    return app;
  }

  async #build(): Promise<FastifyInstance> {
    const { config, log } = this.#deps;
    const app = fastify({
      bodyLimit: MAX_BODY_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionTimeout: IDLE_TIMEOUT_MS,
      forceCloseConnections: true,
      exposeHeadRoutes: false,
      trustProxy: (_, hop) => config.publicUrl !== null && hop === 0,
      routerOptions: { maxParamLength: MAX_PATH_PART },
      ajv: { customOptions: { removeAdditional: false } },
    });
    answerErrors(app, log);
    await app.register(rateLimit, {
      max: config.requestsPerMinute,
      timeWindow: 60_000,
      errorResponseBuilder: (_, { after }) => new LenscapError('RATE_LIMITED', `wait ${after}`),
    });
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: { title: 'Lenscap', description: "The owner's API.", version: '1' },
        components: { securitySchemes: { login: { type: 'http', scheme: 'bearer' } } },
        security: [{ login: [] }],
      },
    });
    const context = this.#context();
    guard(app, context.logins);
    routes(app, context);
    return app;
  }

  #context(): Context {
    const { store, nowUs, config } = this.#deps;
    return {
      ...this.#deps,
      logins: new Logins({ accounts: store.accounts, nowUs, sessionS: config.sessionS }),
      recordings: new Recordings(store),
      overview: new Overview(store.index),
      publicUrl: () => this.#url,
    };
  }
}

/** No answer without a login, unless the route is open; no answer in a cache. */
function guard(app: FastifyInstance, logins: Logins): void {
  app.decorateRequest(WHO, null);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
    if (request.is404 || request.routeOptions.config.isOpen) return;
    const { authorization } = request.headers;
    request.setDecorator<LoggedIn>(WHO, await logins.check(authorization));
  });
}

function routes(app: FastifyInstance, context: Context): void {
  loginRoutes(app, context);
  deviceRoutes(app, context);
  deviceInfoRoutes(app, context);
  lifecycleRoutes(app, context);
  claimRoutes(app, context);
  consentRoutes(app, context);
  configRoutes(app, context);
  segmentRoutes(app, context);
  timelineRoutes(app, context);
  eventRoutes(app, context);
  alertRoutes(app, context);
  snapshotRoutes(app, context);
  logRoutes(app, context);
  playRoutes(app, context);
  exportRoutes(app, context);
  app.get(
    '/health',
    {
      config: { isOpen: true },
      schema: {
        ...OPEN,
        tags: ['service'],
        summary: 'Whether the service answers',
        response: answers(object({ ok: { type: 'boolean' } })),
      },
    },
    async () => ({ ok: true }),
  );
  app.get(
    '/openapi.json',
    { config: { isOpen: true }, schema: { ...OPEN, tags: ['service'], summary: 'This document' } },
    async () => app.swagger(),
  );
}

function isAddress(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
