// Lets connections into the handshake, only so many at a time, so that after a restart of the server
// thousands of devices come in one after another instead of all running out of time together.
// INVARIANT: a place is taken only by a connection that has sent something, and is given back when it
// was admitted, when it is over, or after a while; no address has more than half of the places.
import type { Socket } from 'node:net';

export interface TurnstileDeps {
  /** Connections in the handshake at a time. */
  readonly places: number;
  /** From TCP to the first byte; who has sent something waits as long as it takes. */
  readonly silenceMs: number;
  /** Begins the handshake. Each gets in once, and calls `done` any number of times. */
  readonly enter: (socket: Socket, done: () => void) => void;
}

/** After that a connection in the handshake holds up no others; its own time limit goes on. */
const PLACE_MS = 2000;

export class Turnstile {
  readonly #deps: TurnstileDeps;
  readonly #waiting = new Set<Socket>();
  #inside = 0;
  readonly #insideOf = new Map<string, number>();
  #isTurning = false;

  constructor(deps: TurnstileDeps) {
    this.#deps = deps;
  }

  /** Takes in a connection. Nothing is read of it but into its buffer, which is bounded. */
  queue(socket: Socket): void {
    let hasSpoken = false;
    const judge = (): void => {
      if (!hasSpoken) socket.destroy();
    };
    // Judged after the next reading: a busy server has not seen yet what came in time.
    const silence = setTimeout(() => setImmediate(judge), this.#deps.silenceMs);
    const spoke = (): void => {
      clearTimeout(silence);
      if (socket.readableLength === 0) socket.destroy();
      if (socket.destroyed) return;
      hasSpoken = true;
      this.#waiting.add(socket);
      this.#turn();
    };
    const failed = (): void => void socket.destroy();
    socket.once('readable', spoke);
    socket.on('error', failed);
    socket.once('close', () => {
      clearTimeout(silence);
      this.#waiting.delete(socket);
    });
  }

  /** One in each turn of the event loop, so that whoever is inside goes on meanwhile. */
  #turn(): void {
    const isFull = this.#inside >= this.#deps.places;
    if (this.#isTurning || isFull || this.#waiting.size === 0) return;
    this.#isTurning = true;
    setImmediate(() => {
      this.#isTurning = false;
      const socket = this.#next();
      if (!socket) return;
      this.#enter(socket);
      this.#turn();
    });
  }

  /** The first that waits and whose address has not its share already. */
  #next(): Socket | undefined {
    const share = this.#deps.places / 2;
    for (const socket of this.#waiting)
      if ((this.#insideOf.get(socket.remoteAddress ?? '') ?? 0) < share) return socket;
    return undefined;
  }

  #enter(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    this.#waiting.delete(socket);
    this.#take(address, 1);
    let isInside = true;
    const done = (): void => {
      clearTimeout(timer);
      if (!isInside) return;
      isInside = false;
      this.#take(address, -1);
      this.#turn();
    };
    const timer = setTimeout(done, PLACE_MS);
    socket.once('close', done);
    this.#deps.enter(socket, done);
  }

  #take(address: string, places: 1 | -1): void {
    this.#inside += places;
    const ofAddress = (this.#insideOf.get(address) ?? 0) + places;
    if (ofAddress > 0) this.#insideOf.set(address, ofAddress);
    else this.#insideOf.delete(address);
  }
}
