// Rows of rollouts and of what became of them on each device. Which state may follow on which is
// decided in fleet/rollout-states.ts; here it is noted.
import type { Index, Tables } from './schema.ts';

export type RolloutRow = Tables['rollouts'];
export type RolloutDeviceRow = Tables['rollout_devices'];

/** What changes of a device in a rollout. */
export type DeviceNote = Pick<RolloutDeviceRow, 'state' | 'state_at_us' | 'detail'> &
  Partial<Pick<RolloutDeviceRow, 'version'>>;

/** What only the device can have told, and what it was to tell. */
const ANSWERS = ['sent', 'accepted', 'applied', 'rejected', 'reverted', 'superseded'];
/** Rows in one statement. */
const CHUNK = 500;

export class RolloutRows {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  /** Adds a rollout and its devices. Returns its number. */
  async add(
    row: Omit<RolloutRow, 'rollout_id'>,
    devices: readonly Omit<RolloutDeviceRow, 'rollout_id'>[],
  ): Promise<number> {
    const { max } = await this.#index
      .selectFrom('rollouts')
      .select(({ fn }) => fn.max('rollout_id').as('max'))
      .executeTakeFirstOrThrow();
    const rollout_id = Number(max ?? 0) + 1;
    await this.#index
      .insertInto('rollouts')
      .values({ ...row, rollout_id })
      .execute();
    for (let at = 0; at < devices.length; at += CHUNK)
      await this.#index
        .insertInto('rollout_devices')
        .values(devices.slice(at, at + CHUNK).map((device) => ({ ...device, rollout_id })))
        .execute();
    return rollout_id;
  }

  all(): Promise<RolloutRow[]> {
    return this.#index.selectFrom('rollouts').selectAll().orderBy('rollout_id').execute();
  }

  running(): Promise<RolloutRow[]> {
    return this.#index
      .selectFrom('rollouts')
      .selectAll()
      .where('state', '=', 'running')
      .orderBy('rollout_id')
      .execute();
  }

  byId(rolloutId: number): Promise<RolloutRow | undefined> {
    return this.#index
      .selectFrom('rollouts')
      .selectAll()
      .where('rollout_id', '=', rolloutId)
      .executeTakeFirst();
  }

  async set(
    rolloutId: number,
    note: Partial<Pick<RolloutRow, 'state' | 'state_at_us' | 'why' | 'stop_percent'>>,
  ): Promise<void> {
    await this.#index
      .updateTable('rollouts')
      .set(note)
      .where('rollout_id', '=', rolloutId)
      .execute();
  }

  devicesOf(rolloutId: number): Promise<RolloutDeviceRow[]> {
    return this.#index
      .selectFrom('rollout_devices')
      .selectAll()
      .where('rollout_id', '=', rolloutId)
      .orderBy('stage')
      .orderBy('device_id')
      .execute();
  }

  /** What of these devices was sent by any rollout. */
  sentTo(deviceIds: readonly string[]): Promise<RolloutDeviceRow[]> {
    return this.#index
      .selectFrom('rollout_devices')
      .selectAll()
      .where('device_id', 'in', deviceIds)
      .where('version', 'is not', null)
      .execute();
  }

  /** Ids of all devices that were sent anything by any rollout. */
  async everSent(): Promise<string[]> {
    const rows = await this.#index
      .selectFrom('rollout_devices')
      .select('device_id')
      .where('version', 'is not', null)
      .distinct()
      .execute();
    return rows.map(({ device_id }) => device_id);
  }

  async setDevice(rolloutId: number, deviceId: string, note: DeviceNote): Promise<void> {
    await this.#index
      .updateTable('rollout_devices')
      .set(note)
      .where('rollout_id', '=', rolloutId)
      .where('device_id', '=', deviceId)
      .execute();
  }
}

/**
 * Within a transaction: forgets what a device answered, or was to answer, and what its owner had set,
 * since he shares that no longer.
 */
export async function forgetAnswers(trx: Index, deviceId: string): Promise<void> {
  const ofDevice = trx.updateTable('rollout_devices').where('device_id', '=', deviceId);
  await ofDevice.set({ detail: '' }).where('detail', '!=', '').execute();
  await ofDevice.set({ state: 'unknown' }).where('state', 'in', ANSWERS).execute();
}
