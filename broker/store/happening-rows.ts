// What events and snapshots have in common in the index: they are listed by their time, page by page,
// and have a tombstone each, so that what was deleted does not come again.
import { type RawBuilder, sql } from 'kysely';
import type { Span } from './media-rows.ts';
import type { Index } from './schema.ts';

/** Tables of what happened, each with the column of its ids. */
const ID_OF = { events: 'event_id', snapshots: 'snapshot_id' } as const;
export type Happening = keyof typeof ID_OF;

/** Where a listing has come to. */
export interface Position {
  readonly startAtUs: number;
  readonly id: string;
}

/**
 * Of a table, the rows that begin in the span and for which all of `also` holds, by time: at most
 * `limit` of them after a position.
 */
export async function listed<Row>(
  index: Index,
  table: Happening,
  { deviceId, fromUs, toUs }: Span,
  {
    limit,
    after,
    also,
  }: { limit: number; after: Position | undefined; also: RawBuilder<unknown>[] },
): Promise<Row[]> {
  const place = sql`(start_at_us, ${sql.ref(ID_OF[table])})`;
  const conditions = [
    sql`device_id = ${deviceId}`,
    sql`start_at_us >= ${Math.max(fromUs, after?.startAtUs ?? 0)}`,
    sql`start_at_us < ${toUs}`,
    ...(after ? [sql`${place} > (${after.startAtUs}, ${after.id})`] : []),
    ...also,
  ];
  const { rows } = await sql<Row>`select * from ${sql.table(table)}
    where ${sql.join(conditions, sql` and `)}
    order by start_at_us, ${sql.ref(ID_OF[table])} limit ${limit}`.execute(index);
  return rows;
}

/** Only what had been received by then. */
export function receivedBy(asOfUs: number | undefined): RawBuilder<unknown>[] {
  return asOfUs === undefined ? [] : [sql`received_at_us <= ${asOfUs}`];
}

/**
 * Within a transaction: deletes rows for good, leaving a tombstone each. Returns how many. A tombstone
 * bears the name of its table: ids are chosen by the device, also one that a stream or another row has.
 */
export async function buryHappenings(
  trx: Index,
  table: Happening,
  condition: RawBuilder<unknown>,
  nowUs: number,
): Promise<number> {
  const blobId = table === 'snapshots' ? sql`blob_id` : sql`null`;
  await sql`insert into tombstones (device_id, stream_id, sequence, blob_id, deleted_at_us)
    select device_id, ${`${table}/`} || ${sql.ref(ID_OF[table])}, 0, ${blobId}, ${nowUs}
    from ${sql.table(table)} where ${condition}`.execute(trx);
  const { numAffectedRows } = await sql`delete from ${sql.table(table)} where ${condition}`.execute(
    trx,
  );
  return Number(numAffectedRows ?? 0n);
}

/** Whether a row with this id was deleted. */
export async function isBuried(
  trx: Index,
  deviceId: string,
  table: Happening,
  id: string,
): Promise<boolean> {
  const found = await trx
    .selectFrom('tombstones')
    .select('stream_id')
    .where('device_id', '=', deviceId)
    .where('stream_id', '=', `${table}/${id}`)
    .where('sequence', '=', 0)
    .executeTakeFirst();
  return found !== undefined;
}
