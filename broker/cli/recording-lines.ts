// Recordings, gaps and time accounts as rows of tables. Pure.
import type { Account, Gap, Happening, Segment, Snapshot } from './recording-answers.ts';
import { duration, size } from './times.ts';

/** Pieces and gaps in order of time: start, length, size, what it holds, which it is, its clock. */
export function listing(segments: readonly Segment[], gaps: readonly Gap[]): string[][] {
  const rows = [
    ...segments.map((piece) => ({
      atUs: piece.startAtUs,
      cells: [
        piece.startAt,
        duration(piece.durationUs),
        size(piece.bytes),
        piece.scopes.join(','),
        `${piece.streamId}/${piece.sequence}`,
        clockOf(piece),
      ],
    })),
    ...gaps.map((gap) => ({
      atUs: gap.startAtUs,
      cells: [gap.startAt, duration(gap.durationUs), '-', 'gap', whyOf(gap), clockOf(gap)],
    })),
  ];
  return rows.sort((one, other) => one.atUs - other.atUs).map(({ cells }) => cells);
}

/** Events: begin, length, what, how strong, why, clock. */
export function eventRow(event: Happening): string[] {
  const { startAt, durationUs, lasts, kind, code, detail, alert } = event;
  return [
    startAt,
    lasts ? 'lasts' : durationUs === 0 ? '-' : duration(durationUs),
    alert ? `${words(kind)} (alert)` : words(kind),
    strengthOf(event),
    [detail, code ?? ''].filter((part) => part !== '').join(' '),
    clockOf(event),
  ];
}

function strengthOf({ kind, peak }: Happening): string {
  if (kind === 'motion') return `${peak} %`;
  return kind === 'sound' ? `-${peak} dB` : '';
}

/** Snapshots: when, size, pixels, why, which, clock. */
export function snapshotRow(snapshot: Snapshot): string[] {
  const { startAt, bytes, width, height, cause, snapshotId } = snapshot;
  const pixels = `${width}x${height}`;
  return [startAt, size(bytes), pixels, cause, snapshotId, clockOf(snapshot)];
}

function whyOf({ reason, code }: Gap): string {
  return code === null ? reason : `${reason} (${code})`;
}

/** Only where it was not right. */
function clockOf({
  timeCorrectedUs,
  timeEstimated,
}: Pick<Gap, 'timeCorrectedUs' | 'timeEstimated'>): string {
  if (timeEstimated) return 'estimated';
  if (timeCorrectedUs === 0) return '';
  const sign = timeCorrectedUs < 0 ? '-' : '+';
  return `corrected by ${sign}${duration(Math.abs(timeCorrectedUs))}`;
}

export function stretchRows({ stretches }: Account): string[][] {
  return stretches.map(({ from, to, durationUs, kind, reasons }) => [
    from,
    to,
    duration(durationUs),
    words(kind),
    reasons.join(', '),
  ]);
}

/** Each kind that there is, and the whole. */
export function totalRows({ totals }: Account): string[][] {
  const kinds = Object.entries(totals).filter(([, us]) => us > 0);
  const wholeUs = kinds.reduce((sum, [, us]) => sum + us, 0);
  return [...kinds, ['in all', wholeUs] as const].map(([kind, us]) => [
    words(kind),
    duration(us),
    `${((us / wholeUs) * 100).toFixed(1)} %`,
  ]);
}

function words(kind: string): string {
  return kind.replaceAll('_', ' ');
}
