// Which wall time the monotonic time of a boot is. All that is stored of a boot is placed by
// its anchor, those stored before it and those to come.
// INVARIANT: start_at_us - corrected_us is what the camera said, so placing anew is always right.
import { type RawBuilder, sql, type Transaction } from 'kysely';
import type { Scope } from '../../proto/scopes.ts';
import type { Index, Tables } from './schema.ts';

export type AnchorRow = Tables['anchors'];

/** What a camera says within so much of its anchor stays as it is. */
const TOLERANCE_US = 1_000_000;
/** Two anchors of a boot this near are the same: clocks are not read at one instant. */
const SAME_US = 100_000;
/** By so much the server's clock may be late, since the message was on its way. */
const ON_THE_WAY_US = 10_000_000;
/** As far as devices may say, and a duration can be added. */
const LATEST_US = 2 ** 52;
/** Kinds of data that have a time, which an anchor places. */
export const PLACED_SCOPES: readonly Scope[] = ['video', 'audio', 'snapshot', 'device_info'];
/** Boots of an outage in which power came and went; what waits of one that is forgotten stays unplaced. */
export const MAX_BOOTS = 512;
const DAY_US = 86_400_000_000;
const HOUR_US = 3_600_000_000;
/** Nobody's clock steps as often as this. */
const MAX_CHANGES_AN_HOUR = 60;
/** Placing a month of pieces takes the index four seconds, in which nothing else is stored. */
const MAX_MOVED_AN_HOUR = 500_000;

interface Timed {
  readonly start_at_us: number;
  readonly start_mono_us: number;
  readonly corrected_us: number;
}

/** A row at its time by the anchor of its boot. */
export function placed<T extends Timed>(row: T, offsetUs: number): T {
  const saidUs = row.start_at_us - row.corrected_us;
  const meantUs = row.start_mono_us + offsetUs;
  const isRight = Math.abs(saidUs - meantUs) <= TOLERANCE_US;
  const startAtUs = isRight ? saidUs : Math.min(LATEST_US, Math.max(0, meantUs));
  return { ...row, start_at_us: startAtUs, corrected_us: startAtUs - saidUs };
}

/** Whether a new anchor of a boot says nothing new; then what is stored has to stay where it is. */
export function isKnown(
  known: Pick<AnchorRow, 'offset_us'>,
  { offset_us, source }: Pick<AnchorRow, 'offset_us' | 'source'>,
): boolean {
  const laterUs = offset_us - known.offset_us;
  return laterUs >= -SAME_US && laterUs <= (source === 'server' ? ON_THE_WAY_US : SAME_US);
}

export class Anchors {
  readonly #index: Index;
  readonly #maxMovedAnHour: number;
  /** Of each device in this hour: how often it changed its mind, and how many rows that moved. */
  readonly #changes = new Map<string, { count: number; moved: number }>();
  #hour = 0;

  constructor(index: Index, maxMovedAnHour = MAX_MOVED_AN_HOUR) {
    this.#index = index;
    this.#maxMovedAnHour = maxMovedAnHour;
  }

  /**
   * Takes in the anchor of a boot and places all that is stored of it. Returns how many
   * pieces, gaps, events and snapshots changed their time. Dropped while nothing that is
   * placed is granted, so that not even a boot is known, and when it changes its mind too often.
   */
  async note(anchor: AnchorRow): Promise<number> {
    const known = await this.#index
      .selectFrom('anchors')
      .select('offset_us')
      .where('device_id', '=', anchor.device_id)
      .where('boot_id', '=', anchor.boot_id)
      .executeTakeFirst();
    if (known && isKnown(known, anchor)) return 0;
    const changes = this.#changesOf(anchor);
    if (changes.count >= MAX_CHANGES_AN_HOUR || changes.moved >= this.#maxMovedAnHour) return 0;
    changes.count += 1;
    const moved = await this.#take(anchor);
    changes.moved += moved;
    return moved;
  }

  #take(anchor: AnchorRow): Promise<number> {
    return this.#index.transaction().execute(async (trx) => {
      const granted = await trx
        .selectFrom('granted')
        .select('scope')
        .where('device_id', '=', anchor.device_id)
        .where('scope', 'in', PLACED_SCOPES)
        .executeTakeFirst();
      if (!granted) return 0;
      const { offset_us, source, at_us } = anchor;
      await trx
        .insertInto('anchors')
        .values(anchor)
        .onConflict((conflict) =>
          conflict.columns(['device_id', 'boot_id']).doUpdateSet({ offset_us, source, at_us }),
        )
        .execute();
      const changed = await place(trx, anchor);
      await pruneAnchors(trx, anchor.device_id, at_us);
      return changed;
    });
  }

  #changesOf({ device_id, at_us }: AnchorRow): { count: number; moved: number } {
    const hour = Math.floor(at_us / HOUR_US);
    if (hour !== this.#hour) this.#changes.clear();
    this.#hour = hour;
    const changes = this.#changes.get(device_id) ?? { count: 0, moved: 0 };
    this.#changes.set(device_id, changes);
    return changes;
  }
}

const OF_BOOT = ['gaps', 'events', 'snapshots'] as const;

/** The same as `placed`, for all that is stored of a boot. */
async function place(
  trx: Transaction<Tables>,
  { device_id, boot_id, offset_us }: AnchorRow,
): Promise<number> {
  const ofBoot = sql`device_id = ${device_id} and boot_id = ${boot_id}`;
  const ofStreams = sql`device_id = ${device_id}
    and stream_id in (select stream_id from streams where ${ofBoot})`;
  await move(trx, 'streams', ofBoot, offset_us);
  await sql`update streams set time_estimated = 0 where ${ofBoot} and time_estimated = 1`.execute(
    trx,
  );
  let moved = await move(trx, 'segments', ofStreams, offset_us);
  for (const table of OF_BOOT) moved += await move(trx, table, ofBoot, offset_us);
  return moved;
}

async function move(
  trx: Transaction<Tables>,
  table: 'streams' | 'segments' | (typeof OF_BOOT)[number],
  which: RawBuilder<unknown>,
  offsetUs: number,
): Promise<number> {
  const said = sql`(start_at_us - corrected_us)`;
  const meant = sql`(start_mono_us + ${offsetUs})`;
  const isRight = sql`abs(${said} - ${meant}) <= ${TOLERANCE_US}`;
  const corrected = sql`case when ${isRight} then 0 else min(${LATEST_US}, max(0, ${meant})) - ${said} end`;
  const { numAffectedRows } = await sql`update ${sql.table(table)}
    set start_at_us = ${said} + ${corrected}, corrected_us = ${corrected}
    where ${which} and corrected_us <> ${corrected}`.execute(trx);
  return Number(numAffectedRows ?? 0n);
}

/**
 * Forgets anchors of boots of which nothing is stored and nothing is to be expected: a device cannot
 * make rows without bound. The newest stays, since that boot may be running.
 */
export async function pruneAnchors(index: Index, deviceId: string, nowUs: number): Promise<void> {
  await sql`delete from anchors where device_id = ${deviceId} and boot_id not in (
    select boot_id from anchors as anchor where device_id = ${deviceId} and (
      at_us > ${nowUs - DAY_US}
      or at_us = (select max(at_us) from anchors where device_id = ${deviceId})
      or exists (select 1 from streams where device_id = ${deviceId} and boot_id = anchor.boot_id)
      or exists (select 1 from gaps where device_id = ${deviceId} and boot_id = anchor.boot_id)
      or exists (select 1 from events where device_id = ${deviceId} and boot_id = anchor.boot_id)
      or exists (select 1 from snapshots where device_id = ${deviceId} and boot_id = anchor.boot_id))
    order by at_us desc limit ${MAX_BOOTS})`.execute(index);
}

/** Forgets anchors of boots of which nothing is stored: while nothing is granted, nothing is to come. */
export async function forgetAnchors(index: Index, deviceId: string): Promise<void> {
  const ofBoot = sql`device_id = ${deviceId} and boot_id = anchors.boot_id`;
  await sql`delete from anchors where device_id = ${deviceId}
    and not exists (select 1 from streams where ${ofBoot})
    and not exists (select 1 from gaps where ${ofBoot})
    and not exists (select 1 from events where ${ofBoot})
    and not exists (select 1 from snapshots where ${ofBoot})`.execute(index);
}

interface OfStream {
  readonly device_id: string;
  readonly stream_id: string;
}

/** Offsets of the boots of stored streams, by `device/stream`; absent = no anchor. */
export async function offsetsOfStreams(
  trx: Transaction<Tables>,
  rows: readonly OfStream[],
): Promise<Map<string, number>> {
  if (rows.length === 0) return new Map();
  const found = await trx
    .selectFrom('streams')
    .innerJoin('anchors', (join) =>
      join
        .onRef('anchors.device_id', '=', 'streams.device_id')
        .onRef('anchors.boot_id', '=', 'streams.boot_id'),
    )
    .select(['streams.device_id', 'streams.stream_id', 'anchors.offset_us'])
    .where('streams.device_id', 'in', [...new Set(rows.map(({ device_id }) => device_id))])
    .where('streams.stream_id', 'in', [...new Set(rows.map(({ stream_id }) => stream_id))])
    .execute();
  return new Map(found.map((row) => [`${row.device_id}/${row.stream_id}`, row.offset_us]));
}

interface OfBoot {
  readonly device_id: string;
  readonly boot_id: string;
}

/** Offsets of boots, by `device/boot`; absent = no anchor. */
export async function offsetsOfBoots(
  trx: Transaction<Tables>,
  rows: readonly OfBoot[],
): Promise<Map<string, number>> {
  if (rows.length === 0) return new Map();
  const found = await trx
    .selectFrom('anchors')
    .select(['device_id', 'boot_id', 'offset_us'])
    .where('device_id', 'in', [...new Set(rows.map(({ device_id }) => device_id))])
    .where('boot_id', 'in', [...new Set(rows.map(({ boot_id }) => boot_id))])
    .execute();
  return new Map(found.map((row) => [`${row.device_id}/${row.boot_id}`, row.offset_us]));
}
