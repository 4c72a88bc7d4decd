// What consent covers of what is stored: what is granted, the rule at commit, and the erasing of what a
// record of the ledger leaves uncovered.
import { type Kysely, sql } from 'kysely';
import { EVENT_KINDS, EVENT_SCOPES } from '../../proto/event.ts';
import { isScope, mayTakeIn, type Scope } from '../../proto/scopes.ts';
import { forgetAnchors, PLACED_SCOPES } from './anchors.ts';
import { forgetAnswers } from './rollout-rows.ts';
import type { Index, Tables } from './schema.ts';

/** What tells of the camera itself. */
const OF_DEVICE = EVENT_KINDS.filter((kind) => EVENT_SCOPES[kind] === 'device_info');
/** Forgotten at a time: many may be there, and at a full disk there is room for few. */
const BATCH = 500;

/** What is granted per device, for the devices named. */
export async function readGranted(
  index: Kysely<Tables>,
  deviceIds: readonly string[],
): Promise<Map<string, Map<Scope, number>>> {
  const rows = await index
    .selectFrom('granted')
    .selectAll()
    .where('device_id', 'in', deviceIds)
    .execute();
  const all = new Map(deviceIds.map((deviceId) => [deviceId, new Map<Scope, number>()]));
  for (const { device_id, scope, since_epoch } of rows)
    if (isScope(scope)) all.get(device_id)?.set(scope, since_epoch);
  return all;
}

/**
 * The rule at commit, for what a device sends that stands for itself: the epoch in force, if by it the item
 * may be taken in. An epoch that the ledger does not have yet would outlast a withdrawal.
 */
export async function coveredBy(
  trx: Index,
  deviceId: string,
  item: { readonly epoch: number; readonly scopes: readonly Scope[] },
): Promise<number | undefined> {
  const device = await trx
    .selectFrom('devices')
    .select('epoch')
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  const granted = (await readGranted(trx, [deviceId])).get(deviceId) ?? new Map();
  const isKnown = device !== undefined && item.epoch <= device.epoch;
  return isKnown && mayTakeIn(item, granted) ? device.epoch : undefined;
}

/**
 * Within a transaction: erases what a device told but for these kinds, and what it answered to rollouts with
 * it. Returns of how many kinds there was something.
 */
export async function eraseTold(
  trx: Index,
  deviceId: string,
  keep: readonly string[],
): Promise<number> {
  const all = trx.deleteFrom('told').where('device_id', '=', deviceId);
  const { numDeletedRows } = await (keep.length === 0
    ? all
    : all.where('noun', 'not in', keep)
  ).executeTakeFirst();
  if (!keep.includes('reported')) await forgetAnswers(trx, deviceId);
  return Number(numDeletedRows);
}

/**
 * Forgets what of the camera itself happened before an epoch; null: all of it. Nothing tells that it was
 * there: the epoch keeps it from coming again. Returns how many.
 */
export async function forgetOfDevice(
  index: Index,
  deviceId: string,
  beforeEpoch: number | null,
): Promise<number> {
  for (let forgotten = 0; ; ) {
    const { numAffectedRows } =
      await sql`delete from events where rowid in (select rowid from events
      where device_id = ${deviceId} and kind in (${sql.join(OF_DEVICE)})
        and epoch < ${beforeEpoch ?? Number.MAX_SAFE_INTEGER} limit ${BATCH})`.execute(index);
    const count = Number(numAffectedRows ?? 0n);
    forgotten += count;
    if (count < BATCH) return forgotten;
  }
}

/** While nothing is granted that has a time, nothing is to come that an anchor would place. */
export async function forgetUnplaced(
  trx: Index,
  deviceId: string,
  scopes: readonly Scope[],
): Promise<void> {
  if (!scopes.some((scope) => PLACED_SCOPES.includes(scope))) await forgetAnchors(trx, deviceId);
}

/** Whether device information of an epoch is covered no longer, where `t` is the row. */
const IS_UNCOVERED = sql`not exists (select 1 from granted g where g.device_id = t.device_id
  and g.scope = 'device_info' and g.since_epoch <= t.epoch)`;

/** Devices that told something which their consent does not cover. */
export async function uncoveredTold(index: Index): Promise<string[]> {
  const { rows } = await sql<{ device_id: string }>`select distinct device_id from told t
    where ${IS_UNCOVERED}`.execute(index);
  return rows.map(({ device_id }) => device_id);
}

/** Devices of which events are there that tell of the device itself and that consent does not cover. */
export async function uncoveredEvents(index: Index): Promise<string[]> {
  const { rows } = await sql<{ device_id: string }>`select distinct device_id from events t
    where kind in (${sql.join(OF_DEVICE)}) and ${IS_UNCOVERED}`.execute(index);
  return rows.map(({ device_id }) => device_id);
}
