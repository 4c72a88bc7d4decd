// Tells which pictures are missing in a row, by how long the one before is shown. Pure.
// INVARIANT: what counts as usual is the middle of the last lengths, so that one odd length neither
// counts for much nor changes it; another rate becomes usual after a few pictures.

const REMEMBERED = 15;
/** A picture shown for so many times its usual length stands for others that are missing. */
const LEAST_TIMES = 1.75;

export class Rhythm {
  #last: number[] = [];

  /** So many pictures are missing between these, which are shown so long, in any unit. */
  missing(durations: readonly number[]): number {
    return durations.reduce((sum, duration) => sum + this.#missingAfter(duration), 0);
  }

  #missingAfter(duration: number): number {
    const usual = this.#last.toSorted((one, other) => one - other)[REMEMBERED >> 1];
    this.#last = [...this.#last, duration].slice(-REMEMBERED);
    if (usual === undefined || usual <= 0 || this.#last.length < REMEMBERED) return 0;
    const times = duration / usual;
    return times < LEAST_TIMES ? 0 : Math.round(times) - 1;
  }
}
