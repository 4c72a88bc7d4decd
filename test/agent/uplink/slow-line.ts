// A TCP relay whose way to the server can be stopped: what comes then is neither read nor passed on.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class SlowLine {
  target = 0;
  /** Bytes that came in on the frozen connection after the freeze. */
  held = 0;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #freeze: () => void = () => undefined;

  async listen(): Promise<number> {
    const server = createServer((down) => {
      const up = connect(this.target, '127.0.0.1');
      for (const socket of [down, up]) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
      }
      down.pipe(up);
      up.pipe(down);
      this.#freeze = () => {
        down.unpipe(up);
        down.once('data', ({ length }: Buffer) => {
          this.held += length;
          down.pause();
        });
        down.resume();
      };
    });
    this.#server = server;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** From now on the connection that was made last passes nothing on to the server. */
  freeze(): void {
    this.#freeze();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
  }
}
