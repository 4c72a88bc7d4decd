// Rows of snapshots; their pictures are objects beside those of segments. Written by commit.ts alone,
// deleted by deletion.ts alone.
import type { Transaction } from 'kysely';
import { isBuried, listed, type Position, receivedBy } from './happening-rows.ts';
import type { Span } from './media-rows.ts';
import type { Index, Tables } from './schema.ts';

export type SnapshotRow = Tables['snapshots'];

/** Puts a snapshot whose object is written and synced. */
export async function putSnapshot(
  trx: Transaction<Tables>,
  row: SnapshotRow,
): Promise<'stored' | 'duplicate' | 'SEGMENT_CONFLICT' | 'SEGMENT_DELETED'> {
  const { device_id, snapshot_id } = row;
  if (await isBuried(trx, device_id, 'snapshots', snapshot_id)) return 'SEGMENT_DELETED';
  const inserted = await trx
    .insertInto('snapshots')
    .values(row)
    .onConflict((conflict) => conflict.columns(['device_id', 'snapshot_id']).doNothing())
    .returning('blob_id')
    .executeTakeFirst();
  if (inserted) return 'stored';
  const known = await trx
    .selectFrom('snapshots')
    .select(['sha256', 'epoch'])
    .where('device_id', '=', device_id)
    .where('snapshot_id', '=', snapshot_id)
    .executeTakeFirst();
  const isSame = known?.sha256 === row.sha256 && known.epoch === row.epoch;
  return isSame ? 'duplicate' : 'SEGMENT_CONFLICT';
}

export class SnapshotRows {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  byId(deviceId: string, snapshotId: string): Promise<SnapshotRow | undefined> {
    return this.#index
      .selectFrom('snapshots')
      .selectAll()
      .where('device_id', '=', deviceId)
      .where('snapshot_id', '=', snapshotId)
      .executeTakeFirst();
  }

  /** The one that a command led to, among those received since `sinceUs`. */
  ofCause(deviceId: string, causeId: string, sinceUs: number): Promise<SnapshotRow | undefined> {
    return this.#index
      .selectFrom('snapshots')
      .selectAll()
      .where('device_id', '=', deviceId)
      .where('received_at_us', '>=', sinceUs)
      .where('cause_id', '=', causeId)
      .executeTakeFirst();
  }

  /** Snapshots taken in the span, by time: at most `limit` of them after a position. */
  list(span: Span, limit: number, after?: Position, asOfUs?: number): Promise<SnapshotRow[]> {
    const also = receivedBy(asOfUs);
    return listed<SnapshotRow>(this.#index, 'snapshots', span, { limit, after, also });
  }
}
