// Rows of events: what happened at a camera or before it, and of which kinds its owner wants to hear.
// INVARIANT: the end of what lasted is never taken back, and what was deleted does not come again.
import { sql, type Transaction } from 'kysely';
import type { EventKind } from '../../proto/event.ts';
import type { Span } from './media-rows.ts';
import type { Index, Tables } from './schema.ts';

export type EventRow = Tables['events'];

/** Where a listing has come to. */
export type EventPosition = Pick<EventRow, 'start_at_us' | 'event_id'>;

export interface EventFilter {
  readonly kind?: EventKind | undefined;
  /** Only those of kinds that the owner wanted to be alerted of. */
  readonly isAlert?: boolean | undefined;
  /** Only what was received by then. */
  readonly asOfUs?: number | undefined;
}

/** Puts an event; a later message with its id only says the end of what lasted. */
export async function putEvent(
  trx: Transaction<Tables>,
  row: EventRow,
): Promise<'stored' | 'duplicate' | 'SEGMENT_DELETED'> {
  const { device_id, event_id, kind } = row;
  if (await isBuried(trx, device_id, event_id)) return 'SEGMENT_DELETED';
  const wanted = await trx
    .selectFrom('alert_kinds')
    .select('kind')
    .where('device_id', '=', device_id)
    .where('kind', '=', kind)
    .executeTakeFirst();
  const changed = await trx
    .insertInto('events')
    .values({ ...row, is_alert: wanted ? 1 : 0 })
    .onConflict((conflict) =>
      conflict
        .columns(['device_id', 'event_id'])
        .doUpdateSet((eb) => ({
          duration_us: eb.ref('excluded.duration_us'),
          lasts: eb.ref('excluded.lasts'),
          peak: sql<number>`max(events.peak, excluded.peak)`,
          code: eb.ref('excluded.code'),
          detail: eb.ref('excluded.detail'),
          received_at_us: eb.ref('excluded.received_at_us'),
        }))
        .where(
          sql<boolean>`events.lasts = 1 and excluded.lasts = 0 and events.kind = excluded.kind
            and events.boot_id = excluded.boot_id`,
        ),
    )
    .returning('event_id')
    .executeTakeFirst();
  return changed ? 'stored' : 'duplicate';
}

/** Snapshots and events have tombstones too: by their id as stream, with the number 0. */
export async function isBuried(
  trx: Transaction<Tables>,
  deviceId: string,
  id: string,
): Promise<boolean> {
  const found = await trx
    .selectFrom('tombstones')
    .select('stream_id')
    .where('device_id', '=', deviceId)
    .where('stream_id', '=', id)
    .where('sequence', '=', 0)
    .executeTakeFirst();
  return found !== undefined;
}

/** Reads events and keeps the owner's choice; events are written by commit.ts alone. */
export class EventRows {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  /** Events that begin in the span, by time: at most `limit` of them after a position. */
  list(
    { deviceId, fromUs, toUs }: Span,
    limit: number,
    { kind, isAlert, asOfUs }: EventFilter = {},
    after?: EventPosition,
  ): Promise<EventRow[]> {
    return this.#index
      .selectFrom('events')
      .selectAll()
      .where('device_id', '=', deviceId)
      .where('start_at_us', '>=', Math.max(fromUs, after?.start_at_us ?? 0))
      .where('start_at_us', '<', toUs)
      .$if(after !== undefined, (query) =>
        query.where(
          sql<boolean>`(start_at_us, event_id) > (${after?.start_at_us}, ${after?.event_id})`,
        ),
      )
      .$if(kind !== undefined, (query) => query.where('kind', '=', kind ?? ''))
      .$if(isAlert !== undefined, (query) => query.where('is_alert', '=', isAlert ? 1 : 0))
      .$if(asOfUs !== undefined, (query) => query.where('received_at_us', '<=', asOfUs ?? 0))
      .orderBy('start_at_us')
      .orderBy('event_id')
      .limit(limit)
      .execute();
  }

  /** Kinds that the owner wants to be alerted of. */
  async alertKinds(deviceId: string): Promise<string[]> {
    const rows = await this.#index
      .selectFrom('alert_kinds')
      .select('kind')
      .where('device_id', '=', deviceId)
      .orderBy('kind')
      .execute();
    return rows.map(({ kind }) => kind);
  }

  /** Holds for events from now on; what was marked before stays. */
  setAlertKinds(deviceId: string, kinds: readonly EventKind[]): Promise<void> {
    return this.#index.transaction().execute(async (trx) => {
      await trx.deleteFrom('alert_kinds').where('device_id', '=', deviceId).execute();
      const rows = kinds.map((kind) => ({ device_id: deviceId, kind }));
      if (rows.length > 0) await trx.insertInto('alert_kinds').values(rows).execute();
    });
  }
}
