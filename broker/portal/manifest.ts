// The manifest of an export: what is in the file, where it comes from, and what is not in it and why.
import type { Scope } from '../../proto/scopes.ts';
import type { Track } from '../../proto/stream.ts';
import type { LedgerRecord } from '../consent/ledger.ts';
import type { GapRow, SegmentRow, StreamRow } from '../store/media-rows.ts';
import type { Placed } from './export-plan.ts';
import { type Break, breakBetween, type GapReasons } from './timeline.ts';
import { isoTime } from './times.ts';

/** Streams and boots whose times are estimates. */
export interface Estimated {
  readonly streams: ReadonlySet<string>;
  readonly boots: ReadonlySet<string>;
}

export interface ManifestPiece {
  readonly mediaStartUs: number;
  readonly startAt: string;
  readonly startAtUs: number;
  readonly durationUs: number;
  readonly streamId: string;
  readonly sequence: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly epoch: number;
  readonly scopes: readonly string[];
  readonly timeCorrectedUs: number;
  readonly timeEstimated: boolean;
}

export interface ManifestBreak {
  readonly mediaAtUs: number;
  readonly kind: Break['kind'];
  readonly from: string;
  readonly to: string;
  readonly closedUpUs: number;
  readonly reasons: readonly string[];
  readonly missing: Break['missing'];
}

export interface ManifestGap {
  readonly startAt: string;
  readonly startAtUs: number;
  readonly durationUs: number;
  readonly reason: string;
  readonly code: string | null;
  readonly timeCorrectedUs: number;
  readonly timeEstimated: boolean;
}

/** The consent under which pieces of an epoch were captured. */
export interface ManifestConsent {
  readonly epoch: number;
  readonly at: string;
  readonly scopes: readonly Scope[];
  readonly policy: LedgerRecord['policy'];
}

export function pieceOf(
  { row, mediaStartUs }: Pick<Placed, 'row' | 'mediaStartUs'>,
  estimated: Estimated,
): ManifestPiece {
  return {
    mediaStartUs,
    startAt: isoTime(row.start_at_us),
    startAtUs: row.start_at_us,
    durationUs: row.duration_us,
    streamId: row.stream_id,
    sequence: row.sequence,
    bytes: row.media_bytes,
    sha256: row.sha256,
    epoch: row.epoch,
    scopes: row.scopes.split(','),
    timeCorrectedUs: row.corrected_us,
    timeEstimated: estimated.streams.has(row.stream_id),
  };
}

export function breakOf(
  before: SegmentRow,
  { row, mediaStartUs }: Placed,
  gaps: GapReasons,
): ManifestBreak {
  const { kind, fromUs, toUs, reasons, missing } = breakBetween(before, row, gaps);
  const [from, to, closedUpUs] = [isoTime(fromUs), isoTime(toUs), toUs - fromUs];
  return { mediaAtUs: mediaStartUs, kind, from, to, closedUpUs, reasons, missing };
}

export function gapOf(gap: GapRow, estimated: Estimated): ManifestGap {
  return {
    startAt: isoTime(gap.start_at_us),
    startAtUs: gap.start_at_us,
    durationUs: gap.duration_us,
    reason: gap.reason,
    code: gap.code,
    timeCorrectedUs: gap.corrected_us,
    timeEstimated: estimated.boots.has(gap.boot_id),
  };
}

export function streamOf(row: StreamRow): {
  streamId: string;
  startAt: string;
  epoch: number;
  scopes: string[];
  tracks: readonly Track[];
} {
  const tracks: readonly Track[] = JSON.parse(row.tracks);
  return {
    streamId: row.stream_id,
    startAt: isoTime(row.start_at_us),
    epoch: row.epoch,
    scopes: row.scopes.split(','),
    tracks,
  };
}

/** The records of the epochs that pieces bear. */
export function consentOf(
  epochs: ReadonlySet<number>,
  log: readonly LedgerRecord[],
): ManifestConsent[] {
  return log
    .filter(({ epoch }) => epochs.has(epoch))
    .map(({ epoch, at, scopes, policy }) => ({ epoch, at, scopes, policy }));
}
