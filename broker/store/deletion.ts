// Deletion is write-ahead: rows become tombstones in one transaction (from then on nobody sees the
// segments, and a late upload of them is refused), then the files go, then the tombstones forget
// them. Events and snapshots go the same way. `finish` at start-up completes what a crash interrupted.
import { type RawBuilder, sql } from 'kysely';
import type { EventKind } from '../../proto/event.ts';
import { pruneAnchors } from './anchors.ts';
import type { Blobs } from './blobs.ts';
import { buryHappenings, type Happening } from './happening-rows.ts';
import type { Span } from './media-rows.ts';
import type { Index } from './schema.ts';

const BATCH = 500;

export class Deletion {
  readonly #index: Index;
  readonly #blobs: Blobs;

  constructor(index: Index, blobs: Blobs) {
    this.#index = index;
    this.#blobs = blobs;
  }

  /** Deletes one segment for good. Returns whether it was there. */
  async segment(
    deviceId: string,
    streamId: string,
    sequence: number,
    nowUs: number,
  ): Promise<boolean> {
    const count = await this.#burySegments(
      sql`device_id = ${deviceId} and stream_id = ${streamId} and sequence = ${sequence}`,
      nowUs,
      0,
    );
    await this.finish();
    return count > 0;
  }

  /**
   * Deletes every segment, snapshot and event that begins in the span and every gap within, and refuses
   * later uploads of that time. Returns how many segments were deleted now.
   */
  async range({ deviceId, fromUs, toUs }: Span, nowUs: number): Promise<number> {
    // Not beyond now: what is recorded later was not meant.
    const closed = { deviceId, fromUs, toUs: Math.min(toUs, nowUs) };
    const begun = sql`device_id = ${deviceId} and start_at_us >= ${fromUs} and start_at_us < ${toUs}`;
    const count = await this.#burySegments(begun, nowUs, closed.toUs, closed);
    await this.finish();
    return count;
  }

  /** Deletes one snapshot for good. Returns whether it was there. */
  async snapshot(deviceId: string, snapshotId: string, nowUs: number): Promise<boolean> {
    const one = sql`device_id = ${deviceId} and snapshot_id = ${snapshotId}`;
    return (await this.#bury('snapshots', one, nowUs)) > 0;
  }

  /** Deletes every snapshot that was taken in the span, and nothing else of it. Returns how many. */
  snapshots({ deviceId, fromUs, toUs }: Span, nowUs: number): Promise<number> {
    const taken = sql`device_id = ${deviceId} and start_at_us >= ${fromUs} and start_at_us < ${toUs}`;
    return this.#bury('snapshots', taken, nowUs);
  }

  /** Deletes every event that begins in the span, and nothing else of it. Returns how many. */
  events({ deviceId, fromUs, toUs }: Span, nowUs: number): Promise<number> {
    const begun = sql`device_id = ${deviceId} and start_at_us >= ${fromUs} and start_at_us < ${toUs}`;
    return this.#bury('events', begun, nowUs);
  }

  async #bury(table: Happening, which: RawBuilder<unknown>, nowUs: number): Promise<number> {
    const count = await this.#index
      .transaction()
      .execute((trx) => buryHappenings(trx, table, which, nowUs));
    await this.finish();
    return count;
  }

  /** Deletes snapshots taken in before `beforeUs`. Returns how many. */
  expireSnapshots(deviceId: string, beforeUs: number, nowUs: number): Promise<number> {
    const old = sql`device_id = ${deviceId} and received_at_us < ${beforeUs}`;
    return this.#bury('snapshots', old, nowUs);
  }

  /** Deletes events of these kinds taken in before `beforeUs`. Returns how many. */
  expireEvents(
    deviceId: string,
    kinds: readonly EventKind[],
    beforeUs: number,
    nowUs: number,
  ): Promise<number> {
    if (kinds.length === 0) return Promise.resolve(0);
    const old = sql`device_id = ${deviceId} and received_at_us < ${beforeUs}
      and kind in (${sql.join(kinds)})`;
    return this.#bury('events', old, nowUs);
  }

  /** Deletes what was recorded and taken in before `beforeUs`, as the policy's retention demands. */
  async expire(deviceId: string, beforeUs: number, nowUs: number): Promise<number> {
    const old = sql`device_id = ${deviceId} and received_at_us < ${beforeUs}`;
    // Its age tells why it is not there.
    const count = await this.#burySegments(old, nowUs, Number.MAX_SAFE_INTEGER);
    await this.#index
      .deleteFrom('gaps')
      .where('device_id', '=', deviceId)
      .where('received_at_us', '<', beforeUs)
      .execute();
    // A segment that comes later still is answered STREAM_UNKNOWN, and its stream is sent again.
    await sql`delete from streams where device_id = ${deviceId} and received_at_us < ${beforeUs}
      and not exists (select 1 from segments where segments.device_id = streams.device_id
        and segments.stream_id = streams.stream_id)`.execute(this.#index);
    await pruneAnchors(this.#index, deviceId, nowUs);
    await this.finish();
    return count;
  }

  /** Removes the files of all tombstones that still name one. Returns how many there were. */
  async finish(): Promise<number> {
    let finished = 0;
    for (;;) {
      const pending = await this.#index
        .selectFrom('tombstones')
        .select('blob_id')
        .where('blob_id', 'is not', null)
        .limit(BATCH)
        .execute();
      if (pending.length === 0) return finished;
      const blobIds = pending.map(({ blob_id }) => blob_id).filter((blobId) => blobId !== null);
      await this.#blobs.remove(blobIds);
      await this.#index
        .updateTable('tombstones')
        .set({ blob_id: null })
        .where('blob_id', 'in', blobIds)
        .execute();
      finished += blobIds.length;
    }
  }

  /** Beyond `toldUntilUs` nothing else tells that what was there was deleted, so tombstones do. */
  async #burySegments(
    condition: RawBuilder<unknown>,
    nowUs: number,
    toldUntilUs: number,
    range?: Span,
  ): Promise<number> {
    return this.#index.transaction().execute(async (trx) => {
      if (range) {
        await closeRange(trx, range, nowUs);
        await buryHappenings(trx, 'snapshots', condition, nowUs);
        await buryHappenings(trx, 'events', condition, nowUs);
      }
      const isTold = sql`start_at_us + duration_us > ${toldUntilUs}`;
      await sql`insert into tombstones (device_id, stream_id, sequence, blob_id, deleted_at_us,
          start_at_us, duration_us)
        select device_id, stream_id, sequence, blob_id, ${nowUs},
          case when ${isTold} then start_at_us end, case when ${isTold} then duration_us end
        from segments where ${condition}`.execute(trx);
      const { numAffectedRows } = await sql`delete from segments where ${condition}`.execute(trx);
      return Number(numAffectedRows ?? 0n);
    });
  }
}

/** From now on nothing of that time is taken in. A gap that reaches beyond it is still told. */
async function closeRange(
  trx: Index,
  { deviceId, fromUs, toUs }: Span,
  nowUs: number,
): Promise<void> {
  await trx
    .deleteFrom('gaps')
    .where('device_id', '=', deviceId)
    .where('start_at_us', '>=', fromUs)
    .where(sql<boolean>`start_at_us + duration_us <= ${toUs}`)
    .execute();
  // All of it is still to come.
  if (fromUs >= toUs) return;
  await trx
    .insertInto('deleted_ranges')
    .values({ device_id: deviceId, from_us: fromUs, to_us: toUs, deleted_at_us: nowUs })
    .execute();
}

/** Within a transaction: deletes everything that a device sent. Returns how many segments. */
export async function bury(index: Index, deviceId: string, nowUs: number): Promise<number> {
  await sql`insert into tombstones (device_id, stream_id, sequence, blob_id, deleted_at_us)
    select device_id, stream_id, sequence, blob_id, ${nowUs} from segments
    where device_id = ${deviceId}`.execute(index);
  const { numDeletedRows } = await index
    .deleteFrom('segments')
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  await buryHappenings(index, 'snapshots', sql`device_id = ${deviceId}`, nowUs);
  await index.deleteFrom('events').where('device_id', '=', deviceId).execute();
  await index.deleteFrom('log_batches').where('device_id', '=', deviceId).execute();
  await index.deleteFrom('streams').where('device_id', '=', deviceId).execute();
  await index.deleteFrom('gaps').where('device_id', '=', deviceId).execute();
  await index.deleteFrom('anchors').where('device_id', '=', deviceId).execute();
  return Number(numDeletedRows);
}
