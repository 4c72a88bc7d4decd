// Mends what is safe to mend: at a start what a crash interrupted, on request what verify has found.
// INVARIANT: nothing here runs while something is taken in, so an object that no row names never will
// be named. What a backup could bring back is given up only when that was asked for.
import { rm, stat } from 'node:fs/promises';
import { type RawBuilder, sql } from 'kysely';
import type { ErrorCode } from '../../proto/errors.ts';
import type { GapReason } from '../../proto/gap.ts';
import { eraseTold, readGranted } from './covered.ts';
import {
  type Finding,
  KINDS,
  type Kind,
  MAX_LEFT_BY_CRASH,
  nameOf,
  type SealedName,
  type Stored,
  type StreamName,
} from './findings.ts';
import { configIdentity } from './identities.ts';
import type { Index } from './schema.ts';
import { seal } from './seal.ts';
import type { Store } from './store.ts';
import { unnamed } from './verify.ts';

/** Another verb may be writing a file just now. */
const TEMPORARY_AGE_MS = 60_000;
/** Tables of what devices sent, and of what was set for them; a row of another one is never given up. */
const DEVICE_TABLES = [
  'segments',
  'streams',
  'gaps',
  'events',
  'snapshots',
  'told',
  'log_batches',
  'config_versions',
  'alert_kinds',
  'device_labels',
  'anchors',
  'tombstones',
  'deleted_ranges',
  'deleted_log_ranges',
];
const LOST: GapReason = 'store_lost';
const CORRUPT: ErrorCode = 'STORE_CORRUPT';
const UNKNOWN_BOOT = '00000000-0000-0000-0000-000000000000';

export interface Begun {
  /** Deletions that were finished. */
  readonly finished: number;
  /** Objects that a crash left without a row, and that were removed. */
  readonly removed: number;
  /** Objects without a row, too many for a crash; they were left where they are. */
  readonly kept: number;
}

/**
 * Finishes what the last run had begun. Objects without a row are looked for where the last ones were
 * written: the work does not grow with what is stored.
 */
export async function finishBegun({ deletion, blobs, index }: Store): Promise<Begun> {
  const finished = await deletion.finish();
  const left: string[] = [];
  for await (const { blobIds } of blobs.list('recent'))
    left.push(...(await unnamed(index, blobIds)));
  const isOfCrash = left.length <= MAX_LEFT_BY_CRASH;
  if (isOfCrash && left.length > 0) await blobs.remove(left);
  return isOfCrash
    ? { finished, removed: left.length, kept: 0 }
    : { finished, removed: 0, kept: left.length };
}

export interface Repair {
  /** What was done, one line each. */
  readonly mended: readonly string[];
  readonly remaining: readonly Finding[];
}

/** Mends what may be mended of the findings. With `acceptLoss` what is lost becomes a Gap. */
export async function repair(
  store: Store,
  findings: readonly Finding[],
  { acceptLoss, nowMs }: { readonly acceptLoss: boolean; readonly nowMs: number },
): Promise<Repair> {
  // Rows may be missing from a damaged index, and then nothing follows from that.
  if (findings.some(({ kind }) => kind === 'index_damaged'))
    return { mended: [], remaining: findings };
  const mended: string[] = [];
  const remaining: Finding[] = [];
  // Rows that are given up come last: what they leave is then mended as well.
  const ordered = [...findings].sort((one, two) => rank(one.kind) - rank(two.kind));
  const unnamedCount = findings.filter(({ kind }) => kind === 'object_unnamed').length;
  const isLoss = ({ kind }: Finding): boolean =>
    KINDS[kind].weight === 'loss' ||
    (kind === 'object_unnamed' && unnamedCount > MAX_LEFT_BY_CRASH);
  for (const finding of ordered) {
    const isMine = acceptLoss || !isLoss(finding);
    const done = isMine ? await mend(store, finding, nowMs) : undefined;
    if (done === undefined) remaining.push(finding);
    else mended.push(done);
  }
  return { mended, remaining };
}

function rank(kind: Kind): number {
  if (kind === 'row_astray') return 2;
  return KINDS[kind].weight === 'loss' ? 1 : 0;
}

/** What was done about it, in a line; undefined when nothing is to be done here. */
async function mend(store: Store, finding: Finding, nowMs: number): Promise<string | undefined> {
  switch (finding.kind) {
    case 'deletion_pending':
      return `finished the deletion of ${await store.deletion.finish()} segments or snapshots`;
    case 'totals_wrong':
      await recount(store.index);
      return `counted anew: ${finding.what}`;
    case 'object_unnamed':
      await store.blobs.remove([finding.blobId]);
      return `removed object ${finding.blobId}, which no row named`;
    case 'temporary':
      return removeTemporary(finding.path, nowMs);
    case 'object_missing':
    case 'object_size':
    case 'object_damaged':
    case 'object_exchanged':
      await giveUp(store, finding.of);
      return `noted as lost: ${nameOf(finding.of)}`;
    case 'init_damaged':
      return giveUpStream(store, finding.stream);
    case 'row_damaged':
      return giveUpSealed(store, finding.sealed);
    case 'told_uncovered':
    case 'forgetting_pending':
      return eraseUncovered(store, finding.deviceId);
    case 'row_astray':
      return giveUpAstray(store, finding.table);
    default:
      return undefined;
  }
}

async function removeTemporary(path: string, nowMs: number): Promise<string | undefined> {
  const entry = await stat(path).catch(() => undefined);
  if (entry && Math.abs(nowMs - entry.mtimeMs) < TEMPORARY_AGE_MS) return undefined;
  await rm(path, { force: true });
  return `removed ${path}, which was half written`;
}

async function recount(index: Index): Promise<void> {
  await index.transaction().execute(async (trx) => {
    await trx.deleteFrom('totals').execute();
    await sql`insert into totals (device_id, segments, bytes)
      select device_id, count(*), sum(media_bytes) from segments group by device_id`.execute(trx);
  });
}

/** Row before object, as in a deletion. A snapshot leaves no gap: nothing is missing beside it. */
async function giveUp({ index, blobs }: Store, { kind, row }: Stored): Promise<void> {
  if (kind === 'segment')
    await index
      .transaction()
      .execute((trx) => segmentsToGaps(trx, sql`s.blob_id = ${row.blob_id}`));
  else await index.deleteFrom('snapshots').where('blob_id', '=', row.blob_id).execute();
  await blobs.remove([row.blob_id]);
}

/** Without its init nothing of a stream can be played. */
async function giveUpStream(store: Store, { device_id, stream_id }: StreamName): Promise<string> {
  const blobIds = await store.index.transaction().execute(async (trx) => {
    const isOfIt = sql`s.device_id = ${device_id} and s.stream_id = ${stream_id}`;
    const given = await segmentsToGaps(trx, isOfIt);
    await trx
      .deleteFrom('streams')
      .where('device_id', '=', device_id)
      .where('stream_id', '=', stream_id)
      .execute();
    return given;
  });
  await store.blobs.remove(blobIds);
  return `noted as lost: stream ${device_id}/${stream_id} with ${blobIds.length} segments`;
}

/**
 * What does not open is gone, but of a configuration the version stays taken: cameras take only higher ones,
 * so it becomes one that says nothing.
 */
async function giveUpSealed(
  { index, devices, keys }: Store,
  { table, device_id, name }: SealedName,
): Promise<string | undefined> {
  const device = await devices.byId(device_id);
  if (!device) return undefined;
  if (table === 'config_versions') {
    const key = await keys.account(device.account_id);
    const empty = seal(key, configIdentity(device, Number(name)), Buffer.from('{}'));
    await index
      .updateTable('config_versions')
      .set({ sealed: Buffer.concat(empty), how: 'lost; it says nothing now' })
      .where('device_id', '=', device_id)
      .where('version', '=', Number(name))
      .execute();
  } else {
    const column = sql.ref(table === 'told' ? 'noun' : 'batch_id');
    await sql`delete from ${sql.table(table)}
      where device_id = ${device_id} and ${column} = ${name}`.execute(index);
  }
  return `given up: ${table} ${device_id}/${name}`;
}

async function eraseUncovered({ index, consent }: Store, deviceId: string): Promise<string> {
  const since = await index.transaction().execute(async (trx) => {
    const found = (await readGranted(trx, [deviceId])).get(deviceId)?.get('device_info') ?? null;
    const covered = await trx
      .selectFrom('told')
      .select('noun')
      .where('device_id', '=', deviceId)
      .where('epoch', '>=', found ?? Number.MAX_SAFE_INTEGER)
      .execute();
    const keep = covered.map(({ noun }) => noun);
    await eraseTold(trx, deviceId, keep);
    return found;
  });
  await consent.forget(deviceId, since);
  return `forgot what ${deviceId} told of itself and does not share`;
}

/** Rows whose device or stream is gone. */
async function giveUpAstray(store: Store, table: string): Promise<string | undefined> {
  if (!DEVICE_TABLES.includes(table)) return undefined;
  const blobIds = await store.index.transaction().execute(async (trx) => {
    const given = await segmentsToGaps(
      trx,
      sql`not exists (select 1 from devices d where d.device_id = s.device_id) or not exists
        (select 1 from streams t where t.device_id = s.device_id and t.stream_id = s.stream_id)`,
    );
    if (table === 'snapshots') given.push(...(await snapshotsAstray(trx)));
    if (table !== 'segments')
      await sql`delete from ${sql.table(table)}
        where device_id not in (select device_id from devices)`.execute(trx);
    return given;
  });
  await store.blobs.remove(blobIds);
  return `removed rows of ${table} that belonged to nothing, with ${blobIds.length} objects`;
}

async function snapshotsAstray(trx: Index): Promise<string[]> {
  const { rows } = await sql<{ blob_id: string }>`delete from snapshots
    where device_id not in (select device_id from devices) returning blob_id`.execute(trx);
  return rows.map(({ blob_id }) => blob_id);
}

/**
 * What the owner sees of a lost segment is why there is nothing. Where the device is gone, there is
 * nobody to see it. Returns the objects of those segments.
 */
async function segmentsToGaps(trx: Index, isMeant: RawBuilder<unknown>): Promise<string[]> {
  await sql`insert into gaps (device_id, gap_id, boot_id, start_at_us, start_mono_us, duration_us,
      reason, epoch, code, received_at_us, corrected_us)
    select s.device_id, lower(hex(randomblob(16))), coalesce(t.boot_id, ${UNKNOWN_BOOT}),
      s.start_at_us, s.start_mono_us, s.duration_us, ${LOST}, s.epoch, ${CORRUPT},
      s.received_at_us, s.corrected_us
    from segments s join devices d on d.device_id = s.device_id
      left join streams t on t.device_id = s.device_id and t.stream_id = s.stream_id
    where ${isMeant}`.execute(trx);
  const { rows } = await sql<{ blob_id: string }>`
    delete from segments as s where ${isMeant} returning blob_id`.execute(trx);
  return rows.map(({ blob_id }) => blob_id);
}
