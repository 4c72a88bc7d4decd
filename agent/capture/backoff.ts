// How long to wait before the next attempt. Pure.

export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * Wait after `failures` failures in a row (1 or more): doubles from minMs to maxMs, and of that a
 * random part from the half to the whole. `random` is from 0 up to 1.
 */
export function backoffMs(
  failures: number,
  { minMs, maxMs }: BackoffLimits,
  random: number,
): number {
  const fullMs = Math.min(maxMs, minMs * 2 ** Math.min(failures - 1, 30));
  return Math.round((fullMs / 2) * (1 + random));
}
