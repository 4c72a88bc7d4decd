// Stands between MQTT and the socket: passes what is sent on in slices, at a limited rate if wanted,
// and knows how much of it has left this process. A message of megabytes handed to the socket at once
// would show no movement until its last byte has left.
// Invariant: bytes pass unchanged, in order, in both directions, and one slice at a time.
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { nextDueMs, sliceBytes, slicesOf } from './pace.ts';

type Done = (error?: Error | null) => void;

export class Outflow extends Duplex {
  readonly #socket: TLSSocket;
  readonly #maxKbps: () => number;
  readonly #onDrained: () => void;
  #leftBytes = 0;
  /** Of what is in hand: all of it, and what has not left. */
  #handBytes = 0;
  #restBytes = 0;
  #dueMs = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param maxKbps asked before each slice.
   * @param onDrained called whenever nothing is unsent any more.
   */
  constructor(socket: TLSSocket, maxKbps: () => number, onDrained: () => void) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#maxKbps = maxKbps;
    this.#onDrained = onDrained;
    socket.on('data', (bytes: Buffer) => {
      if (!this.push(bytes)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  /** Bytes that left this process since the beginning. */
  get leftBytes(): number {
    return this.#leftBytes;
  }

  /** Bytes that were handed over and have not left. */
  get unsentBytes(): number {
    return this.writableLength - this.#handBytes + this.#restBytes;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#take([chunk], done);
  }

  override _writev(chunks: { readonly chunk: Buffer }[], done: Done): void {
    this.#take(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: Done): void {
    this.#socket.end();
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    clearTimeout(this.#timer);
    this.#socket.destroy();
    done(error);
  }

  #take(pieces: readonly Buffer[], done: Done): void {
    this.#handBytes = pieces.reduce((sum, { length }) => sum + length, 0);
    this.#restBytes = this.#handBytes;
    this.#passOn(slicesOf(pieces, sliceBytes(this.#maxKbps())), done);
  }

  #passOn(slices: Iterator<Buffer, void>, done: Done): void {
    const waitMs = this.#dueMs - performance.now();
    if (this.#maxKbps() > 0 && waitMs > 0) {
      this.#timer = setTimeout(() => this.#passOn(slices, done), waitMs);
      return;
    }
    const { value: slice } = slices.next();
    if (slice === undefined) {
      this.#handBytes = 0;
      done();
      if (this.writableLength === 0) this.#onDrained();
      return;
    }
    this.#dueMs = nextDueMs(this.#dueMs, performance.now(), slice.length, this.#maxKbps());
    this.#socket.write(slice, (error) => {
      this.#leftBytes += slice.length;
      this.#restBytes -= slice.length;
      if (error) done(error);
      else this.#passOn(slices, done);
    });
  }
}
