// How long to wait before the next attempt. Pure.

export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Pictures for this long were a healthy capture: the back-off begins anew. */
const HEALTHY_US = 60e6;

/**
 * Failures in a row, the one just now included. `pictures` tells when the first pictures of that
 * attempt came and when it failed; `fromUs` is absent when there were none.
 */
export function failuresInRow(
  before: number,
  pictures: { readonly fromUs: number | undefined; readonly untilUs: number },
): number {
  const { fromUs, untilUs } = pictures;
  return fromUs !== undefined && untilUs - fromUs >= HEALTHY_US ? 1 : before + 1;
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
