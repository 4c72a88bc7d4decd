// Small gray pictures, as they come out of the pipe: what motion is seen in and masks are proven by.
/** Of the small picture, in pixels; one byte each, without padding. */
export const GRAY_WIDTH = 160;
export const GRAY_HEIGHT = 90;
export const GRAY_BYTES = GRAY_WIDTH * GRAY_HEIGHT;
/** Each shows what lies within so many pixels of its middle in the large picture: scaling mixes no others. */
export const GRAY_REACH = 1.5;
/** So many a second. */
export const GRAY_RATE = 5;

/** Cuts a row of bytes into pictures. */
export class GraySplitter {
  readonly #onFrame: (frame: Uint8Array) => void;
  #frame = Buffer.alloc(GRAY_BYTES);
  #filled = 0;

  constructor(onFrame: (frame: Uint8Array) => void) {
    this.#onFrame = onFrame;
  }

  push(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const taken = bytes.copy(this.#frame, this.#filled, at);
      at += taken;
      this.#filled += taken;
      if (this.#filled < GRAY_BYTES) continue;
      const frame = this.#frame;
      this.#frame = Buffer.alloc(GRAY_BYTES);
      this.#filled = 0;
      this.#onFrame(frame);
    }
  }
}
