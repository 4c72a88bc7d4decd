// Rows of devices. Which state may follow which is decided in fleet/states.ts; here it is noted.
import type { Index, Tables } from './schema.ts';

export type DeviceRow = Tables['devices'];

/** The columns that change with a state. */
export type StateNote = Pick<DeviceRow, 'state' | 'state_at_us' | 'state_reason'>;

export class Devices {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  async add(row: DeviceRow): Promise<void> {
    await this.#index.insertInto('devices').values(row).execute();
  }

  all(): Promise<(DeviceRow & { email: string })[]> {
    return this.#index
      .selectFrom('devices')
      .innerJoin('accounts', 'accounts.account_id', 'devices.account_id')
      .selectAll('devices')
      .select('accounts.email')
      .orderBy('devices.created_at_us')
      .execute();
  }

  ofAccount(accountId: string): Promise<DeviceRow[]> {
    return this.#index
      .selectFrom('devices')
      .selectAll()
      .where('account_id', '=', accountId)
      .orderBy('created_at_us')
      .execute();
  }

  byId(deviceId: string): Promise<DeviceRow | undefined> {
    return this.#index
      .selectFrom('devices')
      .selectAll()
      .where('device_id', '=', deviceId)
      .executeTakeFirst();
  }

  /** Those that there are, in no order. */
  byIds(deviceIds: readonly string[]): Promise<DeviceRow[]> {
    return this.#index
      .selectFrom('devices')
      .selectAll()
      .where('device_id', 'in', deviceIds)
      .execute();
  }

  async setState(deviceId: string, note: StateNote): Promise<void> {
    await this.#index.updateTable('devices').set(note).where('device_id', '=', deviceId).execute();
  }

  /** Notes that the device confirmed its release; the first time counts. */
  async setReleased(deviceId: string, atUs: number): Promise<void> {
    await this.#index
      .updateTable('devices')
      .set({ released_at_us: atUs })
      .where('device_id', '=', deviceId)
      .where('released_at_us', 'is', null)
      .execute();
  }

  async seen(deviceIds: readonly string[], atUs: number): Promise<void> {
    await this.#index
      .updateTable('devices')
      .set({ last_seen_at_us: atUs })
      .where('device_id', 'in', deviceIds)
      .execute();
  }

  /** Notes the epoch a device says it obeys; never goes back. */
  async applied(deviceId: string, epoch: number, atUs: number): Promise<void> {
    await this.#index
      .updateTable('devices')
      .set({ applied_epoch: epoch, applied_at_us: atUs })
      .where('device_id', '=', deviceId)
      .where('applied_epoch', '<', epoch)
      .where('epoch', '>=', epoch)
      .execute();
  }
}
