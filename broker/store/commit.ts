// The last gate. In one transaction it puts items at their time, compares the consent in force with what
// each was captured under, and what the owner deleted, and only then makes the items visible. An id is taken once:
// the same content again changes nothing, other content is refused.
import { sql, type Transaction } from 'kysely';
import type { ErrorCode } from '../../proto/errors.ts';
import { mayTakeIn, type Scope } from '../../proto/scopes.ts';
import { readGranted } from './covered.ts';
import { putEvent } from './event-rows.ts';
import { placeGroup } from './placing.ts';
import type { Index, Tables } from './schema.ts';
import { putSnapshot } from './snapshot-rows.ts';

/** Something to be made visible, with what its consent is judged by. */
interface Of<Kind, Row> {
  readonly kind: Kind;
  readonly row: Row;
  readonly scopes: readonly Scope[];
  /** Epoch by whose consent it was decided that it may be taken in; absent = its scopes say it all. */
  readonly asOf?: number;
}
/** What stands for itself. */
type Single =
  | Of<'stream', Tables['streams']>
  | Of<'gap', Tables['gaps']>
  | Of<'event', Tables['events']>
  | Of<'snapshot', Tables['snapshots']>;
type Segment = Of<'segment', Tables['segments']>;
export type Candidate = Single | Segment;

/** `duplicate`: the very same was stored before; it is acknowledged and changes nothing. */
export type Outcome = 'stored' | 'duplicate' | ErrorCode;

/** Decides on a group and stores it. Outcomes are in the order of the group. */
export function commit(index: Index, offered: readonly Candidate[]): Promise<Outcome[]> {
  return index.transaction().execute(async (trx) => {
    const group = await placeGroup(trx, offered);
    const outcomes = new Map<Candidate, Outcome>();
    for (const [candidate, code] of await refusals(trx, group)) outcomes.set(candidate, code);
    const open = group.filter((candidate) => !outcomes.has(candidate));
    for (const candidate of open)
      if (candidate.kind !== 'segment') outcomes.set(candidate, await put(trx, candidate));
    const segments = open.filter((candidate) => candidate.kind === 'segment');
    for (const [candidate, outcome] of await putSegments(trx, segments))
      outcomes.set(candidate, outcome);
    return group.map((candidate) => outcomes.get(candidate) ?? 'BUG');
  });
}

function put(trx: Transaction<Tables>, candidate: Single): Promise<Outcome> {
  switch (candidate.kind) {
    case 'stream':
      return putStream(trx, candidate.row);
    case 'gap':
      return putGap(trx, candidate.row);
    case 'event':
      return putEvent(trx, candidate.row);
    case 'snapshot':
      return putSnapshot(trx, candidate.row);
  }
}

/** What may not be taken in at all: by consent, or since the owner deleted that time. */
async function refusals(
  trx: Transaction<Tables>,
  group: readonly Candidate[],
): Promise<[Candidate, ErrorCode][]> {
  const deviceIds = [...new Set(group.map(({ row }) => row.device_id))];
  const granted = await readGranted(trx, deviceIds);
  const devices = await trx
    .selectFrom('devices')
    .select(['device_id', 'epoch'])
    .where('device_id', 'in', deviceIds)
    .execute();
  const epochs = new Map(devices.map((device) => [device.device_id, device.epoch]));
  const deleted = await trx
    .selectFrom('deleted_ranges')
    .select(['device_id', 'from_us', 'to_us'])
    .where('device_id', 'in', deviceIds)
    .where('from_us', '<=', Math.max(...group.map(({ row }) => row.start_at_us)))
    .where('to_us', '>', Math.min(...group.map(({ row }) => row.start_at_us)))
    .execute();
  return group.flatMap((candidate): [Candidate, ErrorCode][] => {
    const { device_id, epoch } = candidate.row;
    const item = { epoch, scopes: candidate.scopes };
    // An epoch that the ledger does not have yet would outlast a withdrawal.
    const inForce = epochs.get(device_id) ?? 0;
    const isKnown = epoch <= inForce && (candidate.asOf ?? inForce) === inForce;
    if (!isKnown || !mayTakeIn(item, granted.get(device_id) ?? new Map()))
      return [[candidate, 'CONSENT_MISSING']];
    const isDeleted = deleted.some((range) => isWithin(candidate, range));
    return isDeleted ? [[candidate, 'SEGMENT_DELETED']] : [];
  });
}

/** What begins in a deleted range; a gap only if it ends in it as well. */
function isWithin(
  { kind, row }: Candidate,
  range: Pick<Tables['deleted_ranges'], 'device_id' | 'from_us' | 'to_us'>,
): boolean {
  if (kind === 'stream' || row.device_id !== range.device_id) return false;
  const endUs = kind === 'gap' ? row.start_at_us + row.duration_us : row.start_at_us + 1;
  return range.from_us <= row.start_at_us && endUs <= range.to_us;
}

async function putStream(trx: Transaction<Tables>, row: Tables['streams']): Promise<Outcome> {
  const inserted = await trx
    .insertInto('streams')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .returning('stream_id')
    .executeTakeFirst();
  if (inserted) return 'stored';
  const known = await trx
    .selectFrom('streams')
    .select(['init_sha256', 'epoch', 'scopes'])
    .where('device_id', '=', row.device_id)
    .where('stream_id', '=', row.stream_id)
    .executeTakeFirst();
  const isSame =
    known?.init_sha256 === row.init_sha256 &&
    known.epoch === row.epoch &&
    known.scopes === row.scopes;
  return isSame ? 'duplicate' : 'SEGMENT_CONFLICT';
}

async function putGap(trx: Transaction<Tables>, row: Tables['gaps']): Promise<Outcome> {
  const inserted = await trx
    .insertInto('gaps')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .returning('gap_id')
    .executeTakeFirst();
  return inserted ? 'stored' : 'duplicate';
}

async function putSegments(
  trx: Transaction<Tables>,
  segments: readonly Segment[],
): Promise<Map<Segment, Outcome>> {
  const outcomes = new Map<Segment, Outcome>();
  if (segments.length === 0) return outcomes;
  const streams = await knownStreams(trx, segments);
  const tombstones = await buried(trx, segments);
  for (const segment of segments) {
    const stream = streams.get(streamKey(segment.row));
    if (tombstones.has(segmentKey(segment.row))) outcomes.set(segment, 'SEGMENT_DELETED');
    else if (!stream) outcomes.set(segment, 'STREAM_UNKNOWN');
    else if (stream !== segment.row.scopes) outcomes.set(segment, 'DECODE_INVALID');
  }
  const open = segments.filter((segment) => !outcomes.has(segment));
  if (open.length === 0) return outcomes;
  const inserted = await trx
    .insertInto('segments')
    .values(open.map(({ row }) => row))
    .onConflict((conflict) => conflict.columns(['device_id', 'stream_id', 'sequence']).doNothing())
    .returning('blob_id')
    .execute();
  const blobIds = new Set(inserted.map(({ blob_id }) => blob_id));
  for (const segment of open)
    outcomes.set(segment, blobIds.has(segment.row.blob_id) ? 'stored' : await repeat(trx, segment));
  return outcomes;
}

/** What to say of a segment whose id is taken. */
async function repeat(trx: Transaction<Tables>, { row }: Segment): Promise<Outcome> {
  const known = await trx
    .selectFrom('segments')
    .select('sha256')
    .where('device_id', '=', row.device_id)
    .where('stream_id', '=', row.stream_id)
    .where('sequence', '=', row.sequence)
    .executeTakeFirst();
  return known?.sha256 === row.sha256 ? 'duplicate' : 'SEGMENT_CONFLICT';
}

const streamKey = (row: { device_id: string; stream_id: string }): string =>
  `${row.device_id}/${row.stream_id}`;
const segmentKey = (row: { device_id: string; stream_id: string; sequence: number }): string =>
  `${streamKey(row)}/${row.sequence}`;

/** Scopes of each stream that the segments name and that is stored. */
async function knownStreams(
  trx: Transaction<Tables>,
  segments: readonly Segment[],
): Promise<Map<string, string>> {
  const rows = await trx
    .selectFrom('streams')
    .select(['device_id', 'stream_id', 'scopes'])
    .where('device_id', 'in', [...new Set(segments.map(({ row }) => row.device_id))])
    .where('stream_id', 'in', [...new Set(segments.map(({ row }) => row.stream_id))])
    .execute();
  return new Map(rows.map((row) => [streamKey(row), row.scopes]));
}

/** Which of the segments have been deleted before. */
async function buried(
  trx: Transaction<Tables>,
  segments: readonly Segment[],
): Promise<Set<string>> {
  const rows = await trx
    .selectFrom('tombstones')
    .select(['device_id', 'stream_id', 'sequence'])
    .where('device_id', 'in', [...new Set(segments.map(({ row }) => row.device_id))])
    .where('stream_id', 'in', [...new Set(segments.map(({ row }) => row.stream_id))])
    .where('sequence', 'in', [...new Set(segments.map(({ row }) => row.sequence))])
    .execute();
  return new Set(rows.map(segmentKey));
}

/** Grows with every change that another connection made to the index. */
export async function dataVersion(index: Index): Promise<number> {
  const { rows } = await sql<{ data_version: number }>`pragma data_version`.execute(index);
  return rows[0]?.data_version ?? 0;
}
