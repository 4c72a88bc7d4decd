// What was captured while nothing moved, held in memory for as long as it may still be wanted. Pure.
// INVARIANT: what is taken out is in order and later than all that was taken out before; the bytes
// held are bounded, and the oldest go first.

/** Most that is held. */
export const MAX_HELD_BYTES = 16 << 20;

/** A piece of the recording, from one monotonic time to another. */
export interface Piece {
  readonly startMonoUs: number;
  readonly endMonoUs: number;
  readonly bytes: number;
}

export class PreRoll<P extends Piece> {
  readonly #maxBytes: number;
  #pieces: readonly P[] = [];

  constructor(maxBytes = MAX_HELD_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** Takes in the newest piece; then what ended before `keepFromUs`, or is too much, goes. */
  hold(piece: P, keepFromUs: number): void {
    let room = this.#maxBytes;
    const all = [...this.#pieces, piece].filter(({ endMonoUs }) => endMonoUs > keepFromUs);
    const firstKept = all.findLastIndex(({ bytes }) => {
      room -= bytes;
      return room < 0;
    });
    this.#pieces = all.slice(firstKept + 1);
  }

  /** Takes out what is wanted, oldest first; what is older than any of it goes. */
  take(isWanted: (piece: P) => boolean): readonly P[] {
    const wanted = this.#pieces.filter(isWanted);
    const last = this.#pieces.findLastIndex(isWanted);
    this.#pieces = this.#pieces.slice(last + 1);
    return wanted;
  }

  /** Lets go of everything. */
  drop(): void {
    this.#pieces = [];
  }
}
