// The two clocks of the camera. Monotonic time orders and measures; wall time only names.

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
