// Compares index, objects and keys: every row has its object, every object opens and has the bytes
// that were acknowledged, and nothing else is there. Reads only.
import { hash } from 'node:crypto';
import { initIdentity, segmentIdentity } from './identities.ts';
import type { SegmentRow } from './media-rows.ts';
import { SEAL_OVERHEAD_BYTES, unseal } from './seal.ts';
import type { Store } from './store.ts';

export interface Report {
  readonly segments: number;
  readonly bytes: number;
  /** Disagreements, one line each. */
  readonly faults: readonly string[];
  /** Objects that no row names: written just before a crash, never acknowledged. */
  readonly leftOver: readonly string[];
}

const PAGE = 500;

/** Checks everything stored. Opens and hashes every object, so it takes its time. */
export async function verifyMedia(
  store: Store,
  progress: (segments: number) => void,
): Promise<Report> {
  const faults: string[] = [];
  const named = new Set<string>();
  let segments = 0;
  let bytes = 0;
  const accounts = new Map(
    (await store.devices.all()).map(({ device_id, account_id }) => [device_id, account_id]),
  );
  for await (const row of allSegments(store)) {
    segments++;
    bytes += row.media_bytes;
    named.add(row.blob_id);
    const fault = await segmentFault(store, row, accounts.get(row.device_id));
    if (fault !== undefined && (await isStillThere(store, row))) faults.push(fault);
    if (segments % PAGE === 0) progress(segments);
  }
  faults.push(...(await initFaults(store, accounts)));
  return { segments, bytes, faults, leftOver: await leftOvers(store, named) };
}

async function* allSegments(store: Store): AsyncIterable<SegmentRow> {
  let after = '';
  for (;;) {
    const page = await store.index
      .selectFrom('segments')
      .selectAll()
      .where('blob_id', '>', after)
      .orderBy('blob_id')
      .limit(PAGE)
      .execute();
    yield* page;
    const last = page.at(-1);
    if (!last) return;
    after = last.blob_id;
  }
}

async function segmentFault(
  store: Store,
  row: SegmentRow,
  accountId: string | undefined,
): Promise<string | undefined> {
  const name = `segment ${row.device_id}/${row.stream_id}/${row.sequence}`;
  if (accountId === undefined) return `${name}: its device is not in the index`;
  try {
    const sealed = await store.blobs.read(row.blob_id);
    if (sealed.byteLength !== row.media_bytes + SEAL_OVERHEAD_BYTES)
      return `${name}: object ${row.blob_id} has ${sealed.byteLength} bytes, not ${row.media_bytes + SEAL_OVERHEAD_BYTES}`;
    const key = await store.keys.account(accountId);
    const media = unseal(key, segmentIdentity(accountId, row), sealed);
    return hash('sha256', media) === row.sha256
      ? undefined
      : `${name}: its bytes are not those stored`;
  } catch (error) {
    return `${name}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** A segment may be deleted while it is being checked. */
async function isStillThere(store: Store, row: SegmentRow): Promise<boolean> {
  const now = await store.media.segment(row.device_id, row.stream_id, row.sequence);
  return now?.blob_id === row.blob_id;
}

async function initFaults(store: Store, accounts: ReadonlyMap<string, string>): Promise<string[]> {
  const faults: string[] = [];
  for (const row of await store.index.selectFrom('streams').selectAll().execute()) {
    const accountId = accounts.get(row.device_id) ?? '';
    try {
      const identity = initIdentity(accountId, row.device_id, row.stream_id);
      const init = unseal(await store.keys.account(accountId), identity, row.sealed_init);
      if (hash('sha256', init) !== row.init_sha256)
        throw new Error('its init bytes are not those stored');
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      faults.push(`stream ${row.device_id}/${row.stream_id}: ${why}`);
    }
  }
  return faults;
}

async function leftOvers(store: Store, named: ReadonlySet<string>): Promise<string[]> {
  const left: string[] = [];
  for await (const { blobId } of store.blobs.list())
    if (!named.has(blobId) && !(await isNamed(store, blobId))) left.push(blobId);
  return left;
}

/** Rows may have come since the walk began; an object to be removed is named by its tombstone. */
async function isNamed(store: Store, blobId: string): Promise<boolean> {
  for (const table of ['segments', 'tombstones'] as const) {
    const row = await store.index
      .selectFrom(table)
      .select('blob_id')
      .where('blob_id', '=', blobId)
      .executeTakeFirst();
    if (row) return true;
  }
  return false;
}
