// Rows of events: what happened at a camera or before it, and of which kinds its owner wants to hear.
// INVARIANT: the end of what lasted is never taken back, and what was deleted does not come again.
import { sql, type Transaction } from 'kysely';
import type { EventKind } from '../../proto/event.ts';
import { isBuried, listed, type Position, receivedBy } from './happening-rows.ts';
import type { Span } from './media-rows.ts';
import type { Index, Tables } from './schema.ts';

export type EventRow = Tables['events'];

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
  if (await isBuried(trx, device_id, 'events', event_id)) return 'SEGMENT_DELETED';
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

/** Reads events and keeps the owner's choice; events are written by commit.ts alone. */
export class EventRows {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  /** Events that begin in the span, by time: at most `limit` of them after a position. */
  list(
    span: Span,
    limit: number,
    { kind, isAlert, asOfUs }: EventFilter = {},
    after?: Position,
  ): Promise<EventRow[]> {
    const also = [
      ...(kind === undefined ? [] : [sql`kind = ${kind}`]),
      ...(isAlert === undefined ? [] : [sql`is_alert = ${isAlert ? 1 : 0}`]),
      ...receivedBy(asOfUs),
    ];
    return listed<EventRow>(this.#index, 'events', span, { limit, after, also });
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

  /** Of a device whose ownership has ended. */
  async eraseAlertKinds(deviceId: string): Promise<void> {
    await this.#index.deleteFrom('alert_kinds').where('device_id', '=', deviceId).execute();
  }
}
