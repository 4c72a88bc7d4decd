// How long to wait before trying again. Pure; chance comes from outside.

export interface BackoffRange {
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
}

/**
 * Full jitter: anywhere from 0 to the minimum doubled `attempt` times, at most the maximum.
 * @param attempt failures before this wait, less one: 0 for the first.
 */
export function backoffMs(attempt: number, range: BackoffRange, random: () => number): number {
  const ceilingMs = Math.min(range.backoffMaxMs, range.backoffMinMs * 2 ** Math.min(attempt, 30));
  return Math.round(random() * ceilingMs);
}
