// Figures for Prometheus on a listener of their own. They say how much there is of what; no label
// names an owner, a device, a camera or a serial number.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Logger } from 'pino';
import { LenscapError } from '../../proto/errors.ts';
import type { ServerConfig } from '../../proto/server-config.ts';
import type { Exposition, ExpositionDeps } from './exposition.ts';

export interface MetricsDeps extends Omit<ExpositionDeps, 'delay'> {
  readonly config: ServerConfig['metrics'];
  readonly log: Logger;
}

const MAX_HEADER_BYTES = 8192;
const MAX_CONNECTIONS = 16;
const REQUEST_TIMEOUT_MS = 10_000;
const DELAY_RESOLUTION_MS = 20;

export class Metrics {
  readonly #deps: MetricsDeps;
  readonly #delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  #exposition: Promise<Exposition> | undefined;
  readonly #server: Server;

  constructor(deps: MetricsDeps) {
    this.#deps = deps;
    this.#server = createServer(
      { maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: REQUEST_TIMEOUT_MS },
      (request, response) => {
        this.#answer(request, response).catch((err: unknown) => {
          deps.log.error({ err }, 'figures could not be read');
          if (response.headersSent) response.destroy();
          else response.writeHead(500).end();
        });
      },
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Listens and returns the address of the figures. @throws CONFIG_INVALID when it cannot. */
  async listen(): Promise<string> {
    const { host, port } = this.#deps.config;
    if (!this.#server.listening) {
      this.#server.listen(port, host);
      await once(this.#server, 'listening').catch((cause: unknown) => {
        const detail = `/metrics/port: cannot listen on ${host}:${port}`;
        throw new LenscapError('CONFIG_INVALID', detail, { cause });
      });
    }
    const address = this.#server.address();
    const bound = typeof address === 'object' && address ? address.port : port;
    return `http://${host.includes(':') ? `[${host}]` : host}:${bound}/metrics`;
  }

  /** Answers until the signal; then lets go of every connection. */
  async run(signal: AbortSignal): Promise<void> {
    await this.listen();
    this.#delay.enable();
    try {
      if (!signal.aborted) await once(signal, 'abort');
    } finally {
      this.#delay.disable();
      const closed = once(this.#server, 'close');
      this.#server.close();
      this.#server.closeAllConnections();
      await closed;
    }
  }

  async #answer({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    if (url?.split('?')[0] !== '/metrics') return void response.writeHead(404).end();
    if (method !== 'GET') return void response.writeHead(405, { allow: 'GET' }).end();
    this.#exposition ??= this.#load();
    const exposition = await this.#exposition;
    const text = await exposition.text();
    const headers = { 'content-type': exposition.contentType, 'cache-control': 'no-store' };
    response.writeHead(200, headers).end(text);
  }

  /** When first asked: the server and every verb start quicker without it. */
  async #load(): Promise<Exposition> {
    const { Exposition: Loaded } = await import('./exposition.ts');
    return new Loaded({ ...this.#deps, delay: this.#delay });
  }
}
