// What verify may find: each disagreement by its kind, what it means, and whether it can be mended.
// Pure.
import type { SegmentRow } from './media-rows.ts';
import type { SnapshotRow } from './snapshot-rows.ts';

/**
 * `left`: lost on the way, and nobody misses it. `mendable`: wrong, and repair knows what is right.
 * `loss`: a backup may have it; repair gives it up when told to. `fault`: for a person.
 */
type Weight = 'left' | 'mendable' | 'loss' | 'fault';

interface KindRow {
  readonly weight: Weight;
  /** What to do about it. */
  readonly remedy: string;
}

/** Groups under way hold an eighth of that. More means that the index is an old one. */
export const MAX_LEFT_BY_CRASH = 1024;

const REPAIR = 'stop the server and run verify --repair';
const RESTORE =
  'restore it from a backup, or have it noted as lost: stop the server, run verify --repair --accept-loss';

export const KINDS = {
  object_unreadable: {
    weight: 'fault',
    remedy: 'it may be whole: see to the disk, or to who may read it',
  },
  object_missing: { weight: 'loss', remedy: RESTORE },
  object_size: { weight: 'loss', remedy: RESTORE },
  object_damaged: { weight: 'loss', remedy: RESTORE },
  object_exchanged: { weight: 'loss', remedy: RESTORE },
  init_damaged: { weight: 'loss', remedy: RESTORE },
  row_damaged: {
    weight: 'loss',
    remedy: `${RESTORE}; a configuration that is wanted now is for its owner to set anew`,
  },
  row_astray: { weight: 'loss', remedy: RESTORE },
  epoch_unknown: { weight: 'fault', remedy: 'restore the data folder from a backup' },
  told_uncovered: { weight: 'mendable', remedy: REPAIR },
  totals_wrong: { weight: 'mendable', remedy: REPAIR },
  key_lost: { weight: 'fault', remedy: 'restore the folder keys from a backup' },
  index_damaged: { weight: 'fault', remedy: 'restore the data folder from a backup' },
  stranger: { weight: 'left', remedy: 'it is not the server\u2019s; remove it by hand' },
  object_unnamed: {
    weight: 'left',
    remedy: `${REPAIR}; more than ${MAX_LEFT_BY_CRASH} say that the index may be an old one: restore the newest, or give them up with --accept-loss`,
  },
  forgetting_pending: { weight: 'left', remedy: 'the next start of the server forgets them' },
  deletion_pending: { weight: 'left', remedy: REPAIR },
  temporary: { weight: 'left', remedy: REPAIR },
} as const satisfies Record<string, KindRow>;

export type Kind = keyof typeof KINDS;

/** Where a damaged init or a lost row stands. */
export interface StreamName {
  readonly device_id: string;
  readonly stream_id: string;
}

/** A row that is sealed itself. */
export interface SealedName {
  readonly table: 'told' | 'config_versions' | 'log_batches';
  readonly device_id: string;
  /** What tells it apart from others of the device. */
  readonly name: string;
}

/** A row that names an object. */
export type Stored =
  | { readonly kind: 'segment'; readonly row: SegmentRow }
  | { readonly kind: 'snapshot'; readonly row: SnapshotRow };

export type Finding = { readonly what: string } & (
  | {
      readonly kind: 'object_missing' | 'object_size' | 'object_damaged' | 'object_exchanged';
      readonly of: Stored;
    }
  | { readonly kind: 'init_damaged'; readonly stream: StreamName }
  | { readonly kind: 'row_damaged'; readonly sealed: SealedName }
  | { readonly kind: 'row_astray'; readonly table: string }
  | { readonly kind: 'told_uncovered' | 'forgetting_pending'; readonly deviceId: string }
  | { readonly kind: 'epoch_unknown' }
  | { readonly kind: 'totals_wrong' | 'key_lost' | 'index_damaged' | 'stranger' }
  | { readonly kind: 'object_unreadable' }
  | { readonly kind: 'deletion_pending' }
  | { readonly kind: 'object_unnamed'; readonly blobId: string }
  | { readonly kind: 'temporary'; readonly path: string }
);

export interface Report {
  readonly segments: number;
  readonly snapshots: number;
  /** Of both. */
  readonly bytes: number;
  /** What is wrong, one line each. */
  readonly faults: readonly string[];
  /** What nobody misses: written just before a crash, never acknowledged; deleted, and still there. */
  readonly leftOver: readonly string[];
  /** What was mended, one line each. */
  readonly mended: readonly string[];
  /** What to do about the rest. */
  readonly remedies: readonly string[];
}

export function isFault({ kind }: Finding): boolean {
  return KINDS[kind].weight !== 'left';
}

/** The lines about findings that are still there. */
export function linesOf(
  findings: readonly Finding[],
): Pick<Report, 'faults' | 'leftOver' | 'remedies'> {
  const line = ({ what }: Finding): string => what;
  return {
    faults: findings.filter(isFault).map(line),
    leftOver: findings.filter((finding) => !isFault(finding)).map(line),
    remedies: [...new Set(findings.map(({ kind }) => `${kind}: ${KINDS[kind].remedy}`))],
  };
}

export function nameOf(stored: Stored): string {
  const { device_id } = stored.row;
  return stored.kind === 'segment'
    ? `segment ${device_id}/${stored.row.stream_id}/${stored.row.sequence}`
    : `snapshot ${device_id}/${stored.row.snapshot_id}`;
}
