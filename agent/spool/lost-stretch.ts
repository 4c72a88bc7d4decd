// Gaps that cover what was captured and is given up. Pure: one contiguous stretch is one Gap.
import { randomBytes } from 'node:crypto';
import type { ErrorCode } from '../../proto/errors.ts';
import type { Gap, GapReason } from '../../proto/gap.ts';
import type { SegmentHeader } from '../../proto/segment.ts';

/** Pieces this close to each other are one stretch: rounding, not missing pictures. */
const TOLERANCE_US = 500_000;

/** The Gap in place of a segment. */
export function gapOver(
  header: SegmentHeader,
  bootId: string,
  reason: GapReason,
  code: ErrorCode,
): Gap {
  return {
    gapId: randomBytes(16).toString('hex'),
    bootId,
    startAtUs: header.startAtUs,
    startMonoUs: header.startMonoUs,
    durationUs: header.durationUs,
    reason,
    epoch: header.epoch,
    code,
  };
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
