// Erasing of a stretch of a device's log, within the transaction of who asks. INVARIANTS: exactly the lines
// of that time go, and none of that time is taken in later; what is left of a batch is sealed anew, and its
// row is another one, so that the old one is gone from the disk as all deleted rows are.
import type { LogBatch } from '../../proto/log-batch.ts';
import { lineAtUs } from '../../proto/log-batch.ts';
import type { Span } from './media-rows.ts';
import type { Index, Tables } from './schema.ts';

type Row = Tables['log_batches'];
type Stretch = Pick<Span, 'fromUs' | 'toUs'>;
/** What may be in such a batch, and when. */
export type Timed = Pick<LogBatch, 'firstAtUs' | 'lastAtUs' | 'lines' | 'dropped'>;
/** Opens a row, and seals what is left of it; null: nothing is. */
export interface Sealing {
  open(row: Row): readonly string[];
  seal(row: Row, left: Timed): Row;
}

/** Opened at a time: each may be a quarter of a megabyte. */
const PAGE = 16;

/** What is left without the lines of these stretches; null for nothing at all. */
export function without<T extends Timed>(batch: T, stretches: readonly Stretch[]): T | null {
  const isIn = (atUs: number): boolean =>
    stretches.some(({ fromUs, toUs }) => atUs >= fromUs && atUs < toUs);
  // A line that bears no time is of when its batch began.
  const lines = batch.lines.filter((line) => !isIn(lineAtUs(line) ?? batch.firstAtUs));
  if (lines.length === batch.lines.length && lines.length > 0) return batch;
  const isEmpty = lines.length === 0 && (batch.lines.length > 0 || isIn(batch.firstAtUs));
  return isEmpty ? null : { ...batch, lines };
}

/** The batch with the bounds that its lines have, whatever it says itself. */
export function bounded<T extends Timed>(batch: T): T {
  let { firstAtUs, lastAtUs } = batch;
  for (const line of batch.lines) {
    const atUs = lineAtUs(line) ?? firstAtUs;
    firstAtUs = Math.min(firstAtUs, atUs);
    lastAtUs = Math.max(lastAtUs, atUs);
  }
  return { ...batch, firstAtUs, lastAtUs };
}

/** Stretches of the log that were erased and that a batch touches. */
export async function erasedOf(
  trx: Index,
  deviceId: string,
  { firstAtUs, lastAtUs }: Timed,
): Promise<Stretch[]> {
  const rows = await trx
    .selectFrom('deleted_log_ranges')
    .select(['from_us', 'to_us'])
    .where('device_id', '=', deviceId)
    .where('from_us', '<=', lastAtUs)
    .where('to_us', '>', firstAtUs)
    .execute();
  return rows.map(({ from_us, to_us }) => ({ fromUs: from_us, toUs: to_us }));
}

/** Erases a stretch, and keeps it so up to now: what is noted later was not meant. Returns how many lines. */
export async function eraseIn(
  trx: Index,
  span: Span,
  nowUs: number,
  sealing: Sealing,
): Promise<number> {
  const { deviceId, fromUs, toUs } = span;
  await close(trx, { deviceId, fromUs, toUs: Math.min(toUs, nowUs) }, nowUs);
  const whole = await trx
    .deleteFrom('log_batches')
    .where('device_id', '=', deviceId)
    .where('first_at_us', '>=', fromUs)
    .where('last_at_us', '<', toUs)
    .returning('lines')
    .execute();
  let erased = whole.reduce((sum, { lines }) => sum + lines, 0);
  for (let after = 0; ; ) {
    const rows = await touched(trx, span, after);
    for (const row of rows) erased += await shorten(trx, row, span, sealing);
    if (rows.length < PAGE) return erased;
    after = rows.at(-1)?.received_at_us ?? after;
  }
}

/** From now on nothing of that time is taken in. One stretch within another one is not kept. */
async function close(trx: Index, { deviceId, fromUs, toUs }: Span, nowUs: number): Promise<void> {
  if (fromUs >= toUs) return;
  const around = await trx
    .selectFrom('deleted_log_ranges')
    .select('from_us')
    .where('device_id', '=', deviceId)
    .where('from_us', '<=', fromUs)
    .where('to_us', '>=', toUs)
    .executeTakeFirst();
  if (around !== undefined) return;
  await trx
    .deleteFrom('deleted_log_ranges')
    .where('device_id', '=', deviceId)
    .where('from_us', '>=', fromUs)
    .where('to_us', '<=', toUs)
    .execute();
  await trx
    .insertInto('deleted_log_ranges')
    .values({ device_id: deviceId, from_us: fromUs, to_us: toUs, deleted_at_us: nowUs })
    .execute();
}

function touched(trx: Index, { deviceId, fromUs, toUs }: Span, after: number): Promise<Row[]> {
  return trx
    .selectFrom('log_batches')
    .selectAll()
    .where('device_id', '=', deviceId)
    .where('received_at_us', '>', after)
    .where('last_at_us', '>=', fromUs)
    .where('first_at_us', '<', toUs)
    .orderBy('received_at_us')
    .limit(PAGE)
    .execute();
}

async function shorten(trx: Index, row: Row, span: Span, sealing: Sealing): Promise<number> {
  const { first_at_us: firstAtUs, last_at_us: lastAtUs, dropped } = row;
  const batch = { firstAtUs, lastAtUs, dropped, lines: sealing.open(row) };
  const left = without(batch, [span]);
  if (left === batch) return 0;
  await trx
    .deleteFrom('log_batches')
    .where('device_id', '=', row.device_id)
    .where('batch_id', '=', row.batch_id)
    .execute();
  if (left !== null) await trx.insertInto('log_batches').values(sealing.seal(row, left)).execute();
  return batch.lines.length - (left?.lines.length ?? 0);
}
