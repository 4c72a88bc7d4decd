// Lets connections into the handshake, only so many at a time, so that after a restart of the server
// thousands of devices come in one after another instead of all running out of time together.
// INVARIANT: a place is taken only by a connection that has sent something and whose far end has not
// left meanwhile, and is given back when it was admitted, when it is over, or after a while; no address
// has more than half of the places.
import type { Socket } from 'node:net';

export interface TurnstileDeps {
  /** Connections in the handshake at a time. */
  readonly places: number;
  /** From TCP to the first byte; who has sent something waits as long as it takes. */
  readonly silenceMs: number;
  /** Begins the handshake. Each gets in once, and calls `done` any number of times. */
  readonly enter: (socket: Socket, done: () => void) => void;
}

interface Waiting {
  readonly socket: Socket;
  readonly address: string;
  /** Ends the watch for its leaving. */
  readonly unwatch: () => void;
}

/** After that a connection in the handshake holds up no others; its own time limit goes on. */
const PLACE_MS = 2000;

export class Turnstile {
  readonly #deps: TurnstileDeps;
  /** The newest last. */
  readonly #waiting: Waiting[] = [];
  #inside = 0;
  readonly #insideOf = new Map<string, number>();
  #isTurning = false;

  constructor(deps: TurnstileDeps) {
    this.#deps = deps;
  }

  /** Takes in a connection. Nothing is read of it but into its buffer, which is bounded. */
  queue(socket: Socket): void {
    let heardBytes = 0;
    const judge = (): void => {
      if (heardBytes === 0) socket.destroy();
    };
    // Judged after the next reading: a busy server has not seen yet what came in time.
    const silence = setTimeout(() => setImmediate(judge), this.#deps.silenceMs);
    const watch = (): void => {
      clearTimeout(silence);
      // The end makes a stream readable as well; then there is no more in it than before.
      if (socket.readableLength === heardBytes) socket.destroy();
      if (socket.destroyed) return;
      const isFirst = heardBytes === 0;
      heardBytes = socket.readableLength;
      if (isFirst) this.#wait({ socket, address: socket.remoteAddress ?? '', unwatch });
    };
    const unwatch = (): void => void socket.off('readable', watch);
    socket.on('readable', watch);
    socket.on('error', () => void socket.destroy());
    socket.once('close', () => {
      clearTimeout(silence);
      this.#forget(socket);
    });
  }

  #wait(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#turn();
  }

  #forget(socket: Socket): void {
    const at = this.#waiting.findIndex((waiting) => waiting.socket === socket);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  /** One in each turn of the event loop, so that whoever is inside goes on meanwhile. */
  #turn(): void {
    const isFull = this.#inside >= this.#deps.places;
    if (this.#isTurning || isFull || this.#waiting.length === 0) return;
    this.#isTurning = true;
    setImmediate(() => {
      this.#isTurning = false;
      const next = this.#next();
      if (!next) return;
      this.#enter(next);
      this.#turn();
    });
  }

  /**
   * The newest that waits and whose address has not its share already: who waits for long is about to
   * give up, and would take with it the handshake that it cost.
   */
  #next(): Waiting | undefined {
    const share = this.#deps.places / 2;
    const at = this.#waiting.findLastIndex(
      ({ address }) => (this.#insideOf.get(address) ?? 0) < share,
    );
    return at === -1 ? undefined : this.#waiting.splice(at, 1)[0];
  }

  #enter({ socket, address, unwatch }: Waiting): void {
    unwatch();
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
