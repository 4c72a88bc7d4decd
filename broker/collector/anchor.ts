// What wall time a camera's monotonic time is, judged by the server: the camera is believed unless its
// clock cannot be right. Pure.
import type { Anchor } from '../../proto/anchor.ts';

/** More would be a clock that goes wrong; a message is never older than it says. */
const MAX_AHEAD_US = 10_000_000;
/** A message may have been on its way for a while. */
const MAX_BEHIND_US = 300_000_000;

/** Wall time less monotonic time of that boot, and whose wall clock that is. */
export function judged(
  { atUs, monoUs, estimated }: Anchor,
  nowUs: number,
): { readonly offset_us: number; readonly source: 'camera' | 'server' } {
  const aheadUs = atUs - nowUs;
  const isCredible = !estimated && aheadUs <= MAX_AHEAD_US && aheadUs >= -MAX_BEHIND_US;
  return isCredible
    ? { offset_us: atUs - monoUs, source: 'camera' }
    : { offset_us: nowUs - monoUs, source: 'server' };
}
