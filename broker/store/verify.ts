// Compares index, objects and keys: every row has its object, every object opens and has the bytes
// that were acknowledged, every sealed row opens, and nothing else is there. Reads only, also while a server writes.
import { hash } from 'node:crypto';
import { join } from 'node:path';
import { sql } from 'kysely';
import { temporariesIn } from './durable.ts';
import { type Finding, nameOf, type Stored, type StreamName } from './findings.ts';
import { initIdentity, segmentIdentity, snapshotIdentity } from './identities.ts';
import type { Index } from './schema.ts';
import { type Identity, SEAL_OVERHEAD_BYTES, unseal } from './seal.ts';
import type { Store } from './store.ts';
import { type DeviceKeys, rowFaults } from './verify-rows.ts';

export interface Inspection {
  readonly segments: number;
  readonly snapshots: number;
  /** Of both. */
  readonly bytes: number;
  readonly findings: readonly Finding[];
}

const PAGE = 500;
/** Of a damaged index that many faults are named. */
const MAX_INDEX_FAULTS = 20;
/** Folders in which files are written under a temporary name. */
const FOLDERS = ['.', 'ca', 'keys', 'keys/accounts', 'run'];

/** Checks everything stored in `folder`. Opens and hashes every object, so it takes its time. */
export async function inspect(
  store: Store,
  folder: string,
  progress: (segments: number) => void,
): Promise<Inspection> {
  const damaged = await damagedPages(store.index);
  // Its rows say nothing then, if they can be read at all.
  if (damaged.length > 0) return { segments: 0, snapshots: 0, bytes: 0, findings: damaged };
  const { keys, findings } = await deviceKeys(store);
  findings.push(...(await rowsAstray(store.index)), ...(await wrongTotals(store.index)));
  const counts = { segment: 0, snapshot: 0 };
  let bytes = 0;
  for await (const stored of allStored(store)) {
    counts[stored.kind]++;
    bytes += stored.row.media_bytes;
    const finding = await objectFault(store, stored, keys);
    if (finding && (await isStillThere(store, stored))) findings.push(finding);
    if (counts.segment % PAGE === 0) progress(counts.segment);
  }
  findings.push(...(await initFaults(store, keys)), ...(await rowFaults(store.index, keys)));
  findings.push(...(await pendingDeletions(store.index)));
  findings.push(...(await unnamedObjects(store)));
  for (const path of await temporariesIn(FOLDERS.map((name) => join(folder, name))))
    findings.push({ kind: 'temporary', path, what: `file ${path}: half written` });
  return { segments: counts.segment, snapshots: counts.snapshot, bytes, findings };
}

/** The key of each device, and the accounts whose key cannot be read. */
async function deviceKeys(store: Store): Promise<{ keys: DeviceKeys; findings: Finding[] }> {
  const keys = new Map<string, { accountId: string; key: Buffer }>();
  const lost = new Map<string, Finding>();
  for (const { device_id, account_id } of await store.devices.all())
    try {
      keys.set(device_id, { accountId: account_id, key: await store.keys.account(account_id) });
    } catch (error) {
      const what = `key of account ${account_id}: ${messageOf(error)}`;
      lost.set(account_id, { kind: 'key_lost', what });
    }
  return { keys, findings: [...lost.values()] };
}

async function* allStored({ index }: Store): AsyncIterable<Stored> {
  const segments = (after: string) =>
    index.selectFrom('segments').selectAll().where('blob_id', '>', after);
  const snapshots = (after: string) =>
    index.selectFrom('snapshots').selectAll().where('blob_id', '>', after);
  const pageOf = <T>(query: { orderBy(by: 'blob_id'): Pages<T> }): Promise<T[]> =>
    query.orderBy('blob_id').limit(PAGE).execute();
  for await (const row of byObject((after) => pageOf(segments(after))))
    yield { kind: 'segment', row };
  for await (const row of byObject((after) => pageOf(snapshots(after))))
    yield { kind: 'snapshot', row };
}

interface Pages<T> {
  limit(count: number): { execute(): Promise<T[]> };
}

async function* byObject<T extends { readonly blob_id: string }>(
  page: (after: string) => Promise<T[]>,
): AsyncIterable<T> {
  let after = '';
  for (;;) {
    const rows = await page(after);
    yield* rows;
    const last = rows.at(-1);
    if (!last) return;
    after = last.blob_id;
  }
}

function identityOf(accountId: string, { kind, row }: Stored): Identity {
  return kind === 'segment' ? segmentIdentity(accountId, row) : snapshotIdentity(accountId, row);
}

/** Where the key is lost, that is said once, and nothing is said of what it would open. */
async function objectFault(
  store: Store,
  of: Stored,
  keys: DeviceKeys,
): Promise<Finding | undefined> {
  const { row } = of;
  const name = nameOf(of);
  const sealed = await store.blobs.read(row.blob_id).catch((error: unknown) => ({ error }));
  if ('error' in sealed) {
    const what = `${name}: ${messageOf(sealed.error)}`;
    return isAbsent(sealed.error)
      ? { kind: 'object_missing', of, what }
      : { kind: 'object_unreadable', what: `${what}: ${causeOf(sealed.error)}` };
  }
  const expected = row.media_bytes + SEAL_OVERHEAD_BYTES;
  if (sealed.byteLength !== expected) {
    const what = `${name}: object ${row.blob_id} has ${sealed.byteLength} bytes, not ${expected}`;
    return { kind: 'object_size', of, what };
  }
  const known = keys.get(row.device_id);
  if (known === undefined) return undefined;
  try {
    const media = unseal(known.key, identityOf(known.accountId, of), sealed);
    if (hash('sha256', media) === row.sha256) return undefined;
    return { kind: 'object_exchanged', of, what: `${name}: its bytes are not those stored` };
  } catch (error) {
    return { kind: 'object_damaged', of, what: `${name}: ${messageOf(error)}` };
  }
}

/** Whatever else keeps it from being read, it may be there. */
function isAbsent(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}

const causeOf = (error: unknown): string =>
  messageOf(error instanceof Error ? error.cause : undefined);

/** It may be deleted while it is being checked. */
async function isStillThere({ media, snapshots }: Store, { kind, row }: Stored): Promise<boolean> {
  const now = await (kind === 'segment'
    ? media.segment(row.device_id, row.stream_id, row.sequence)
    : snapshots.byId(row.device_id, row.snapshot_id));
  return now?.blob_id === row.blob_id;
}

async function initFaults(store: Store, keys: DeviceKeys): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const row of allStreams(store.index)) {
    const known = keys.get(row.device_id);
    if (known === undefined) continue;
    const { device_id, stream_id } = row;
    try {
      const identity = initIdentity(known.accountId, device_id, stream_id);
      const init = unseal(known.key, identity, row.sealed_init);
      if (hash('sha256', init) !== row.init_sha256)
        throw new Error('its init bytes are not those stored');
    } catch (error) {
      const what = `stream ${device_id}/${stream_id}: ${messageOf(error)}`;
      findings.push({ kind: 'init_damaged', stream: { device_id, stream_id }, what });
    }
  }
  return findings;
}

type InitRow = StreamName & { readonly sealed_init: Uint8Array; readonly init_sha256: string };

async function* allStreams(index: Index): AsyncIterable<InitRow> {
  let rowid = 0;
  for (;;) {
    const { rows } = await sql<InitRow & { rowid: number }>`
      select rowid, device_id, stream_id, sealed_init, init_sha256 from streams
      where rowid > ${rowid} order by rowid limit ${PAGE}`.execute(index);
    yield* rows;
    const last = rows.at(-1);
    if (!last) return;
    rowid = last.rowid;
  }
}

async function damagedPages(index: Index): Promise<Finding[]> {
  const { rows } = await sql<{ quick_check: string }>`
    pragma quick_check(${sql.lit(MAX_INDEX_FAULTS)})`
    .execute(index)
    .catch((error: unknown) => ({ rows: [{ quick_check: messageOf(error) }] }));
  return rows
    .filter(({ quick_check }) => quick_check !== 'ok')
    .map(({ quick_check }) => ({ kind: 'index_damaged', what: `index: ${quick_check}` }));
}

/** Rows of any table that speak of a device, a stream, an account that is not there. */
async function rowsAstray(index: Index): Promise<Finding[]> {
  const { rows } = await sql<{ table: string; parent: string; count: number }>`
    select "table", parent, count(*) as count from pragma_foreign_key_check
    group by "table", parent`.execute(index);
  return rows.map(({ table, parent, count }) => {
    const what = `index: ${count} rows of ${table} without their row of ${parent}`;
    return { kind: 'row_astray', table, what };
  });
}

async function wrongTotals(index: Index): Promise<Finding[]> {
  const { rows } = await sql<{ device_id: string; said: string; counted: string }>`
    with counted as (select device_id, count(*) as segments, sum(media_bytes) as bytes
      from segments group by device_id)
    select device_id, coalesce(t.segments, 0) || ' segments, ' || coalesce(t.bytes, 0) as said,
      coalesce(c.segments, 0) || ' segments, ' || coalesce(c.bytes, 0) as counted
    from totals t full join counted c using (device_id)
    where coalesce(t.segments, 0) <> coalesce(c.segments, 0)
      or coalesce(t.bytes, 0) <> coalesce(c.bytes, 0)`.execute(index);
  return rows.map(({ device_id, said, counted }) => {
    const what = `totals of ${device_id}: ${said} bytes, and there are ${counted}`;
    return { kind: 'totals_wrong', what };
  });
}

async function pendingDeletions(index: Index): Promise<Finding[]> {
  const { count } = await index
    .selectFrom('tombstones')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('blob_id', 'is not', null)
    .executeTakeFirstOrThrow();
  const what = `${count} deleted segments or snapshots whose objects are still to be removed`;
  return count === 0 ? [] : [{ kind: 'deletion_pending', what }];
}

async function unnamedObjects(store: Store): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const { blobIds, strangers } of store.blobs.list('all')) {
    for (const blobId of await unnamed(store.index, blobIds))
      findings.push({ kind: 'object_unnamed', blobId, what: `object ${blobId}: no row names it` });
    for (const name of strangers)
      findings.push({ kind: 'stranger', what: `file blobs/${name}: not an object` });
  }
  return findings;
}

/** Which of the objects no row names; one that is to be removed is named by its tombstone. */
export async function unnamed(index: Index, blobIds: readonly string[]): Promise<string[]> {
  const left: string[] = [];
  for (let at = 0; at < blobIds.length; at += PAGE) {
    const page = blobIds.slice(at, at + PAGE);
    const { rows } = await sql<{ blob_id: string }>`
      select blob_id from segments where blob_id in (${sql.join(page)})
      union all select blob_id from snapshots where blob_id in (${sql.join(page)})
      union all select blob_id from tombstones where blob_id in (${sql.join(page)})`.execute(index);
    const named = new Set(rows.map(({ blob_id }) => blob_id));
    left.push(...page.filter((blobId) => !named.has(blobId)));
  }
  return left;
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
