// Memory of media given back at once. Media pass through at a rate at which the garbage collector,
// which sees small objects and not the memory behind them, runs far too often (60 full collections
// for each GB with V8's defaults) or far too late (350 MB resident instead of 250).
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * What may stand before a message in its allocation: an MQTT topic, or the end of the message before.
 * INVARIANT: no message of this size or less is ever used as a view; see `keep`.
 */
const MAX_HEAD_BYTES = 512;
const MIN_BYTES = 4096;
/**
 * Media that pass between two collections of young objects, which hold the buffers of sockets. Half as
 * much and twice as much both keep more memory: the one promotes what is in use, the other waits.
 */
const BYTES_PER_COLLECTION = 16 << 20;

export class MediaMemory {
  readonly #collectYoung: () => void;
  #passedBytes = 0;

  /** Tunes the heap of this process for media that pass through. */
  constructor() {
    setFlagsFromString('--external-memory-accounted-in-global-limit');
    setFlagsFromString('--expose-gc');
    const collect: (options: { type: 'minor' }) => void = runInNewContext('gc');
    this.#collectYoung = () => collect({ type: 'minor' });
  }

  /** The message itself, or a copy when it may lie in front of one that is discarded before it. */
  keep(message: Buffer): Buffer {
    return message.byteLength <= MAX_HEAD_BYTES ? Buffer.from(message) : message;
  }

  /**
   * Frees the memory behind a buffer that nobody reads any more. Leaves it alone where it is shared
   * with other data, i.e. where the buffer is not the tail of an allocation of its own.
   */
  discard({ buffer, byteOffset, byteLength }: Uint8Array): void {
    const isTail = byteOffset + byteLength === buffer.byteLength && byteOffset < MAX_HEAD_BYTES;
    this.#passedBytes += byteLength;
    if (isTail && byteLength >= MIN_BYTES && buffer instanceof ArrayBuffer) buffer.transfer(0);
    if (this.#passedBytes < BYTES_PER_COLLECTION) return;
    this.#passedBytes = 0;
    this.#collectYoung();
  }
}
