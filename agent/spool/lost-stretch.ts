// Gaps that cover what was captured and is given up. Pure: one contiguous stretch is one Gap.
import { randomBytes } from 'node:crypto';
import type { ErrorCode } from '../../proto/errors.ts';
import type { Gap, GapReason } from '../../proto/gap.ts';

/** Pieces this close to each other are one stretch: rounding, not missing pictures. */
const TOLERANCE_US = 500_000;

/** A stretch of captured time, on both clocks of its boot. */
export interface Stretch {
  readonly bootId: string;
  readonly startAtUs: number;
  readonly startMonoUs: number;
  readonly durationUs: number;
  readonly epoch: number;
}

/** The Gap in place of what was captured. */
export function gapOver(
  { bootId, startAtUs, startMonoUs, durationUs, epoch }: Stretch,
  reason: GapReason,
  code: ErrorCode | null,
): Gap {
  const gapId = randomBytes(16).toString('hex');
  return { gapId, bootId, startAtUs, startMonoUs, durationUs, reason, epoch, code };
}

/** Whether `next` goes on where `gap` ends, for the same reason. */
export function continues(gap: Gap, next: Gap): boolean {
  const distanceUs = next.startMonoUs - (gap.startMonoUs + gap.durationUs);
  return (
    gap.bootId === next.bootId &&
    gap.reason === next.reason &&
    gap.code === next.code &&
    Math.abs(distanceUs) <= TOLERANCE_US
  );
}

/** One Gap from the start of the first to the later end of the two. */
export function joined(first: Gap, second: Gap): Gap {
  const endMonoUs = Math.max(
    first.startMonoUs + first.durationUs,
    second.startMonoUs + second.durationUs,
  );
  return { ...first, durationUs: endMonoUs - first.startMonoUs };
}

/**
 * The time of segments that cannot be read any more, between what is known before and after them;
 * rather too long than too short, since what is stored counts before any Gap. Null when nothing is known.
 * @param guessUs how long they were, where the neighbours do not tell it.
 */
export function unreadable(
  before: Stretch | undefined,
  after: Stretch | undefined,
  guessUs: number,
): Stretch | null {
  if (before === undefined) return after === undefined ? null : aheadOf(after, guessUs);
  const startMonoUs = before.startMonoUs + before.durationUs;
  const startAtUs = before.startAtUs + before.durationUs;
  const betweenUs = distanceUs(before.bootId, startMonoUs, startAtUs, after);
  const durationUs = betweenUs > 0 ? betweenUs : guessUs;
  return { ...before, startMonoUs, startAtUs, durationUs };
}

/** Between boots only the wall clocks can be compared. 0 when there is nothing after it. */
function distanceUs(
  bootId: string,
  startMonoUs: number,
  startAtUs: number,
  after: Stretch | undefined,
): number {
  if (after === undefined) return 0;
  return after.bootId === bootId ? after.startMonoUs - startMonoUs : after.startAtUs - startAtUs;
}

function aheadOf(after: Stretch, guessUs: number): Stretch {
  const durationUs = Math.max(1, Math.min(guessUs, after.startMonoUs));
  return {
    ...after,
    startMonoUs: Math.max(0, after.startMonoUs - durationUs),
    startAtUs: Math.max(0, after.startAtUs - durationUs),
    durationUs,
  };
}
