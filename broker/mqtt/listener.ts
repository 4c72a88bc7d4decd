// The TLS listener: TLS 1.3, certificates of our own authority only, bounded connections in total
// and by address. Hands each socket that passed to `accept`.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import { LenscapError } from '../../proto/errors.ts';
import type { ServerConfig } from '../../proto/server-config.ts';

export interface ListenerDeps {
  readonly config: ServerConfig['mqtt'];
  /** PEM. */
  readonly tls: { readonly key: string; readonly cert: string; readonly ca: string };
  readonly accept: (socket: TLSSocket) => void;
  readonly log: Logger;
}

export class Listener {
  readonly #deps: ListenerDeps;
  readonly #server: Server;
  readonly #sockets = new Set<{ destroy(): void }>();
  readonly #byAddress = new Map<string, number>();

  constructor(deps: ListenerDeps) {
    this.#deps = deps;
    this.#server = createServer({
      ...deps.tls,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: 'TLSv1.3',
      handshakeTimeout: deps.config.connectTimeoutMs,
      noDelay: true,
    });
    this.#server.on('connection', (socket) => this.#count(socket));
    this.#server.on('secureConnection', (socket) => deps.accept(socket));
    this.#server.on('tlsClientError', (error, socket) => {
      deps.log.warn({ from: socket.remoteAddress, why: error.message }, 'TLS handshake refused');
      socket.destroy();
    });
  }

  /** Returns the port. @throws CONFIG_INVALID when it cannot be had. */
  async listen(): Promise<number> {
    const { host, port } = this.#deps.config;
    try {
      this.#server.listen(port, host);
      await once(this.#server, 'listening');
    } catch (error) {
      const detail = `/mqtt/port: cannot listen on ${host}:${port}; choose another`;
      throw new LenscapError('CONFIG_INVALID', detail, { cause: error });
    }
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : port;
  }

  /** For handshakes from now on. */
  setCertificate(tls: { readonly key: string; readonly cert: string }): void {
    this.#server.setSecureContext({ ...this.#deps.tls, ...tls, minVersion: 'TLSv1.3' });
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
    this.#sockets.add(socket);
    this.#byAddress.set(address, ofAddress);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      const left = (this.#byAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#byAddress.set(address, left);
      else this.#byAddress.delete(address);
    });
  }
}
