// The clocks of the camera. Monotonic time orders and measures; wall time only names, and on a board
// without a battery it may begin in 1970. What is known for certain is a time that has passed already.

export interface Clock {
  /** Microseconds since 1970-01-01 UTC; may be set back or forth at any time. */
  wallUs(): number;
  /** Microseconds since the boot (CLOCK_MONOTONIC); never set, stands while the machine sleeps. */
  monoUs(): number;
}

/** The clocks of this machine. Wall time has the resolution of milliseconds. */
export const systemClock: Clock = {
  wallUs: () => Date.now() * 1000,
  monoUs: () => Number(process.hrtime.bigint() / 1000n),
};

/** Boards and servers never agree to the second; a clock this little behind is a right one. */
const TOLERANCE_US = 3_600_000_000;

/**
 * A lower bound of the time: the latest moment that is known to have passed, and what ran since.
 * INVARIANT: it never goes back, and no wall clock can move it.
 */
export class KnownTime {
  readonly #clock: Clock;
  readonly #onBehind: () => void;
  #floorUs: number;
  #floorMonoUs: number;
  #wasBehind = false;

  /**
   * `floorUs`: a moment that has passed for certain, such as the release of this program. `onBehind`
   * is called when the wall clock is asked about and begins to be behind.
   */
  constructor(clock: Clock, floorUs: number, onBehind: () => void = () => undefined) {
    this.#clock = clock;
    this.#onBehind = onBehind;
    this.#floorUs = floorUs;
    this.#floorMonoUs = clock.monoUs();
  }

  /** A moment named by somebody who is believed, such as the signer of a grant. */
  learn(atUs: number): void {
    if (atUs <= this.floorUs()) return;
    this.#floorUs = atUs;
    this.#floorMonoUs = this.#clock.monoUs();
  }

  /** It is this late at least. */
  floorUs(): number {
    return this.#floorUs + this.#clock.monoUs() - this.#floorMonoUs;
  }

  /** The best there is: the wall clock, unless it is certainly behind. */
  nowUs(): number {
    return Math.max(this.#clock.wallUs(), this.floorUs());
  }

  /** Whether the wall clock may be right; if not, no date can be judged by it. */
  isWallCredible(): boolean {
    const isBehind = this.#clock.wallUs() < this.floorUs() - TOLERANCE_US;
    if (isBehind && !this.#wasBehind) this.#onBehind();
    this.#wasBehind = isBehind;
    return !isBehind;
  }
}
