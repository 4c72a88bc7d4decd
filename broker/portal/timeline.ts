// Where a recording is not continuous, and why. Pure: over rows in order of time.
import type { GapRow, SegmentRow } from '../store/media-rows.ts';

/** What rounding and a track that lags may leave between two pieces; a pause is longer. */
const PAUSE_US = 1_000_000;

/** Rows whose decode times follow on each other. Where recording paused, only their numbers do. */
export function isContinued(before: SegmentRow, next: SegmentRow): boolean {
  const betweenUs = next.decode_start_us - (before.decode_start_us + before.duration_us);
  return isNext(before, next) && Math.abs(betweenUs) <= PAUSE_US;
}

function isNext(before: SegmentRow, next: SegmentRow): boolean {
  return before.stream_id === next.stream_id && before.sequence + 1 === next.sequence;
}

export interface Break {
  /** `paused`: nothing was recorded in between, and no piece is missing. */
  readonly kind: 'stream_changed' | 'pieces_missing' | 'paused';
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

function kindOf(before: SegmentRow, next: SegmentRow): Break['kind'] {
  if (isNext(before, next)) return 'paused';
  return before.stream_id === next.stream_id ? 'pieces_missing' : 'stream_changed';
}

/** What lies between two rows that do not continue each other. */
export function breakBetween(before: SegmentRow, next: SegmentRow, gaps: GapReasons): Break {
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
    kind: kindOf(before, next),
    fromUs,
    toUs,
    reasons: gaps.within(fromUs, toUs),
    missing,
  };
}

interface Stretch {
  readonly fromUs: number;
  readonly toUs: number;
}

/** Why there are no pictures; told at once, however many gaps there are and however long they are. */
export class GapReasons {
  /** Of each reason: in order of time, apart from each other. */
  readonly #stretches = new Map<string, Stretch[]>();

  /** Gaps in order of time. */
  constructor(gaps: readonly GapRow[]) {
    for (const { reason, start_at_us: fromUs, duration_us } of gaps) {
      const toUs = fromUs + duration_us;
      const known = this.#stretches.get(reason) ?? [];
      this.#stretches.set(reason, known);
      const last = known.at(-1);
      if (last === undefined || last.toUs <= fromUs) known.push({ fromUs, toUs });
      else if (last.toUs < toUs) known.splice(-1, 1, { fromUs: last.fromUs, toUs });
    }
  }

  /** Reasons of the gaps that overlap [fromUs, toUs), in order of time. */
  within(fromUs: number, toUs: number): string[] {
    return [...this.#stretches]
      .flatMap(([reason, stretches]) => {
        const last = lastBefore(stretches, toUs);
        return last && last.toUs > fromUs ? [{ reason, fromUs: last.fromUs }] : [];
      })
      .sort((one, other) => one.fromUs - other.fromUs)
      .map(({ reason }) => reason);
  }
}

/** The last one that begins before `toUs`. */
function lastBefore(stretches: readonly Stretch[], toUs: number): Stretch | undefined {
  let [low, high] = [0, stretches.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((stretches[middle]?.fromUs ?? toUs) < toUs) low = middle + 1;
    else high = middle;
  }
  return stretches[low - 1];
}

/** Gaps that overlap [fromUs, toUs). */
export function gapsWithin(gaps: readonly GapRow[], fromUs: number, toUs: number): GapRow[] {
  return gaps.filter((gap) => gap.start_at_us < toUs && gap.start_at_us + gap.duration_us > fromUs);
}
