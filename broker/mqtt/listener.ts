// The TLS listener: TLS 1.3, bounded connections in total and by address. Asks for a certificate but
// lets those without one through, since boards have to ask for theirs; whoever judges by it looks at
// `authorized` first. Hands each socket that passed to `accept`.
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import type { Logger } from 'pino';
import { LenscapError } from '../../proto/errors.ts';
import type { ServerConfig } from '../../proto/server-config.ts';
import { Turnstile } from './turnstile.ts';

export interface ListenerDeps {
  readonly config: ServerConfig['mqtt'];
  /** PEM. */
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
  /** `done` says that it is admitted or refused, so that the next may come. */
  readonly accept: (socket: TLSSocket, done: () => void) => void;
  readonly log: Logger;
}

/** All devices come at once after a restart; what finds no room here tries again after a second. */
const BACKLOG = 4096;
/** In the handshake at a time: about 5 ms of work each, and seldom more than half a second away. */
const PLACES = 64;

export class Listener {
  readonly #deps: ListenerDeps;
  readonly #server: Server;
  /** Does not listen: it is given the connections that passed the turnstile. */
  readonly #tls: TlsServer;
  readonly #turnstile: Turnstile;
  /** What to call when one in the handshake is through, by its far end. */
  readonly #entering = new Map<string, () => void>();
  readonly #sockets = new Set<{ destroy(): void }>();
  readonly #byAddress = new Map<string, number>();

  constructor(deps: ListenerDeps) {
    this.#deps = deps;
    this.#tls = createTlsServer({
      ...deps.tls,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      handshakeTimeout: deps.config.connectTimeoutMs,
    });
    this.#tls.on('secureConnection', (socket) => {
      const ignore = (): void => undefined;
      deps.accept(socket, this.#entering.get(farEnd(socket)) ?? ignore);
    });
    this.#tls.on('tlsClientError', (error, socket) => {
      deps.log.warn({ from: socket.remoteAddress, why: error.message }, 'TLS handshake refused');
      socket.destroy();
    });
    this.#turnstile = new Turnstile({
      places: PLACES,
      silenceMs: deps.config.connectTimeoutMs,
      enter: (socket, done) => this.#enter(socket, done),
    });
    this.#server = createServer({ noDelay: true });
    this.#server.on('connection', (socket) => this.#count(socket));
  }

  /** Returns the port. @throws CONFIG_INVALID when it cannot be had. */
  async listen(): Promise<number> {
    const { host, port } = this.#deps.config;
    try {
      this.#server.listen({ port, host, backlog: BACKLOG });
      await once(this.#server, 'listening');
    } catch (error) {
      const detail = `/mqtt/port: cannot listen on ${host}:${port}; choose another`;
      throw new LenscapError('CONFIG_INVALID', detail, { cause: error });
    }
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : port;
  }

  /** Connections that are open, from TCP on. */
  get size(): number {
    return this.#sockets.size;
  }

  /** For handshakes from now on. */
  setCertificate(tls: { readonly key: string; readonly cert: string }): void {
    this.#tls.setSecureContext({ ...this.#deps.tls, ...tls, minVersion: 'TLSv1.3' });
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Runs before the handshake, so that a flood costs no cryptography. */
  #count(socket: Socket): void {
    const { maxConnections, maxConnectionsPerAddress } = this.#deps.config;
    const address = socket.remoteAddress ?? '';
    const ofAddress = (this.#byAddress.get(address) ?? 0) + 1;
    if (this.#sockets.size >= maxConnections || ofAddress > maxConnectionsPerAddress) {
      this.#deps.log.warn({ from: address, open: this.#sockets.size }, 'too many connections');
      socket.destroy();
      return;
    }
    this.#turnstile.queue(socket);
    this.#sockets.add(socket);
    this.#byAddress.set(address, ofAddress);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#byAddress.set(address, left);
      else this.#byAddress.delete(address);
    });
  }

  #enter(socket: Socket, done: () => void): void {
    const key = farEnd(socket);
    this.#entering.set(key, done);
    socket.once('close', () => this.#entering.delete(key));
    this.#tls.emit('connection', socket);
  }
}

function farEnd({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
