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

/** The time of what is captured. */
export interface MediaTime extends Clock {
  /** Whether `wallUs` is an estimate now, at the earliest: the clock has not been set. */
  isEstimated(): boolean;
}

/** Up to where a recording went. Monotonic time is that of the boot. */
export interface RecordedUntil {
  readonly bootId: string;
  readonly endMonoUs: number;
  readonly endAtUs: number;
}

export interface MediaClockDeps {
  readonly clock: Clock;
  readonly time: Pick<KnownTime, 'isWallCredible' | 'floorUs'>;
  /** Kernel boot id of now. */
  readonly bootId: string;
  /** What this board recorded last, by its own account; null for nothing. */
  readonly last: RecordedUntil | null;
  /** How much further it may have recorded, when it crashed; no reason to doubt the wall clock. */
  readonly lastLagUs: number;
}

/** A wall clock falls behind the last recording by so much without being wrong: a leap second. */
const SLACK_US = 1_000_000;
/** A wall clock this near to a time that was just told is a right one. */
const CONFIRMING_US = 300_000_000;
/** 2100-01-01: past what the messages can carry, and what a broken clock chip shows. */
const LATEST_US = 4_102_444_800_000_000;

/**
 * The wall clock, unless it is behind what has passed already: then an estimate, at the earliest, that
 * goes on with the monotonic clock until the wall clock has passed it.
 * INVARIANT: while the wall clock is unset, it runs evenly and not before the end of the last recording.
 */
export class MediaClock implements MediaTime {
  readonly #deps: MediaClockDeps;
  /** End of the last recording, on the line of this boot's monotonic time. */
  #lastLessMonoUs: number;
  #lagUs = 0;
  #isBehind = false;

  constructor(deps: MediaClockDeps) {
    this.#deps = deps;
    const { clock, bootId, last, lastLagUs } = deps;
    if (last === null || last.endAtUs >= LATEST_US) this.#lastLessMonoUs = Number.NEGATIVE_INFINITY;
    else {
      // What passed while the machine was off, nobody knows.
      const isSameBoot = last.bootId === bootId;
      this.#lastLessMonoUs = last.endAtUs - (isSameBoot ? last.endMonoUs : clock.monoUs());
      if (!isSameBoot) this.#lagUs = lastLagUs;
    }
  }

  monoUs(): number {
    return this.#deps.clock.monoUs();
  }

  wallUs(): number {
    const wallUs = this.#deps.clock.wallUs();
    return this.#isUnset(wallUs) ? this.#earliestUs() : wallUs;
  }

  isEstimated(): boolean {
    return this.#isUnset(this.#deps.clock.wallUs());
  }

  /**
   * The server has just told the time in a grant: a wall clock that agrees with it is right, whatever
   * the last recording says, which may have been made with a clock in the future.
   */
  confirm(): void {
    const { clock, time } = this.#deps;
    if (Math.abs(clock.wallUs() - time.floorUs()) <= CONFIRMING_US)
      this.#lastLessMonoUs = Number.NEGATIVE_INFINITY;
  }

  #earliestUs(): number {
    const { clock, time } = this.#deps;
    return Math.max(this.#lastLessMonoUs + this.#lagUs + clock.monoUs(), time.floorUs());
  }

  #isUnset(wallUs: number): boolean {
    const { clock, time } = this.#deps;
    // Both ways with a distance, so that a clock at the edge does not change its mind all the time.
    const behindUs = this.#lastLessMonoUs + clock.monoUs() - wallUs;
    const isBehind = behindUs > (this.#isBehind ? 0 : SLACK_US);
    this.#isBehind = isBehind || !time.isWallCredible() || wallUs >= LATEST_US;
    return this.#isBehind;
  }
}
