// Cuts a byte stream into top-level boxes, whatever the sizes of the pieces it comes in.
// INVARIANT: holds at most one box, and no box is longer than maxBytes.
import { malformed } from './boxes.ts';

const HEADER_BYTES = 8;

export class BoxSplitter {
  readonly #maxBytes: number;
  readonly #onBox: (type: string, box: Buffer) => void;
  #parts: Buffer[] = [];
  #have = 0;
  #need = HEADER_BYTES;
  #isSized = false;

  /** `onBox` gets each complete box with its header; the buffer is its own to keep. */
  constructor(maxBytes: number, onBox: (type: string, box: Buffer) => void) {
    this.#maxBytes = maxBytes;
    this.#onBox = onBox;
  }

  /** @throws CAPTURE_FAILED when a size is not possible. */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      const taken = Math.min(this.#need - this.#have, bytes.length - at);
      this.#parts.push(bytes.subarray(at, at + taken));
      this.#have += taken;
      at += taken;
      if (this.#have === this.#need) this.#complete();
    }
  }

  #complete(): void {
    const buffer = Buffer.concat(this.#parts);
    if (!this.#isSized) {
      const size = buffer.readUInt32BE(0);
      if (size < HEADER_BYTES || size > this.#maxBytes) malformed(`a box of ${size} bytes`);
      this.#parts = [buffer];
      this.#need = size;
      this.#isSized = true;
      if (size > HEADER_BYTES) return;
    }
    this.#parts = [];
    this.#have = 0;
    this.#need = HEADER_BYTES;
    this.#isSized = false;
    this.#onBox(buffer.toString('latin1', 4, 8), buffer);
  }
}
