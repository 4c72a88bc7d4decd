// Where a recording is not continuous, and why. Pure: over rows in order of time.
import type { GapRow, SegmentRow } from '../store/media-rows.ts';

/** Rows whose decode times follow on each other. */
export function isContinued(before: SegmentRow, next: SegmentRow): boolean {
  return before.stream_id === next.stream_id && before.sequence + 1 === next.sequence;
}

export interface Break {
  readonly kind: 'stream_changed' | 'pieces_missing';
  /** Wall time without pictures, [fromUs, toUs); the same twice when nothing is missing. */
  readonly fromUs: number;
  readonly toUs: number;
  /** Gaps that the camera reported for that time. */
  readonly reasons: readonly string[];
  /** Sequence numbers that are not there: deleted by the owner, or lost before they were stored. */
  readonly missing: readonly {
    readonly streamId: string;
    readonly first: number;
    readonly last: number;
  }[];
}

/** What lies between two rows that do not continue each other. */
export function breakBetween(before: SegmentRow, next: SegmentRow, gaps: readonly GapRow[]): Break {
  const fromUs = before.start_at_us + before.duration_us;
  const toUs = Math.max(fromUs, next.start_at_us);
  const isSame = before.stream_id === next.stream_id;
  const missing =
    isSame && next.sequence > before.sequence + 1
      ? [{ streamId: next.stream_id, first: before.sequence + 1, last: next.sequence - 1 }]
      : !isSame && next.sequence > 0
        ? [{ streamId: next.stream_id, first: 0, last: next.sequence - 1 }]
        : [];
  return {
    kind: isSame ? 'pieces_missing' : 'stream_changed',
    fromUs,
    toUs,
    reasons: [...new Set(gapsWithin(gaps, fromUs, toUs).map(({ reason }) => reason))],
    missing,
  };
}

/** Gaps that overlap [fromUs, toUs). */
export function gapsWithin(gaps: readonly GapRow[], fromUs: number, toUs: number): GapRow[] {
  return gaps.filter((gap) => gap.start_at_us < toUs && gap.start_at_us + gap.duration_us > fromUs);
}
