// Deletion is write-ahead: rows become tombstones in one transaction (from then on nobody sees the
// segments, and a late upload of them is refused), then the files go, then the tombstones forget
// them. `finish` at start-up completes what a crash interrupted.
import { sql } from 'kysely';
import type { Blobs } from './blobs.ts';
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
    const count = await this.#bury(
      sql`device_id = ${deviceId} and stream_id = ${streamId} and sequence = ${sequence}`,
      nowUs,
    );
    await this.finish();
    return count > 0;
  }

  /**
   * Deletes every segment and gap that begins in the span, and refuses later uploads of that time.
   * Returns how many were deleted now.
   */
  async range({ deviceId, fromUs, toUs }: Span, nowUs: number): Promise<number> {
    const count = await this.#bury(
      sql`device_id = ${deviceId} and start_at_us >= ${fromUs} and start_at_us < ${toUs}`,
      nowUs,
      // Not beyond now: what is recorded later was not meant.
      { deviceId, fromUs, toUs: Math.min(toUs, nowUs) },
    );
    await this.finish();
    return count;
  }

  /** Deletes what was taken in before `beforeUs`, as the policy's retention demands. */
  async expire(deviceId: string, beforeUs: number, nowUs: number): Promise<number> {
    const count = await this.#bury(
      sql`device_id = ${deviceId} and received_at_us < ${beforeUs}`,
      nowUs,
    );
    await this.#index
      .deleteFrom('gaps')
      .where('device_id', '=', deviceId)
      .where('received_at_us', '<', beforeUs)
      .execute();
    // A segment that comes later still is answered STREAM_UNKNOWN, and its stream is sent again.
    await sql`delete from streams where device_id = ${deviceId} and received_at_us < ${beforeUs}
      and not exists (select 1 from segments where segments.device_id = streams.device_id
        and segments.stream_id = streams.stream_id)`.execute(this.#index);
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

  async #bury(condition: ReturnType<typeof sql>, nowUs: number, range?: Span): Promise<number> {
    return this.#index.transaction().execute(async (trx) => {
      if (range) {
        await trx
          .deleteFrom('gaps')
          .where('device_id', '=', range.deviceId)
          .where('start_at_us', '>=', range.fromUs)
          .where('start_at_us', '<', range.toUs)
          .execute();
        await trx
          .insertInto('deleted_ranges')
          .values({
            device_id: range.deviceId,
            from_us: range.fromUs,
            to_us: range.toUs,
            deleted_at_us: nowUs,
          })
          .execute();
      }
      await sql`insert into tombstones (device_id, stream_id, sequence, blob_id, deleted_at_us)
        select device_id, stream_id, sequence, blob_id, ${nowUs} from segments where ${condition}`.execute(
        trx,
      );
      const { numAffectedRows } = await sql`delete from segments where ${condition}`.execute(trx);
      return Number(numAffectedRows ?? 0n);
    });
  }
}

/** Within a transaction: deletes everything recorded by a device. Returns how many segments. */
export async function bury(index: Index, deviceId: string, nowUs: number): Promise<number> {
  await sql`insert into tombstones (device_id, stream_id, sequence, blob_id, deleted_at_us)
    select device_id, stream_id, sequence, blob_id, ${nowUs} from segments
    where device_id = ${deviceId}`.execute(index);
  const { numDeletedRows } = await index
    .deleteFrom('segments')
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  await index.deleteFrom('streams').where('device_id', '=', deviceId).execute();
  await index.deleteFrom('gaps').where('device_id', '=', deviceId).execute();
  return Number(numDeletedRows);
}
