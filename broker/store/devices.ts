// Rows of devices and their certificates.
import type { Index, Tables } from './schema.ts';

export type DeviceRow = Tables['devices'];
export type CertificateRow = Tables['certificates'];

export class Devices {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  async add(row: DeviceRow): Promise<void> {
    await this.#index.insertInto('devices').values(row).execute();
  }

  async addCertificate(row: CertificateRow): Promise<void> {
    await this.#index.insertInto('certificates').values(row).execute();
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

  certificates(): Promise<CertificateRow[]> {
    return this.#index.selectFrom('certificates').selectAll().execute();
  }

  certificate(serial: string): Promise<CertificateRow | undefined> {
    return this.#index
      .selectFrom('certificates')
      .selectAll()
      .where('serial', '=', serial)
      .executeTakeFirst();
  }

  /** Revokes every certificate of a device that is not revoked yet; returns how many. */
  async revoke(deviceId: string, nowUs: number): Promise<number> {
    const { numUpdatedRows } = await this.#index
      .updateTable('certificates')
      .set({ revoked_at_us: nowUs })
      .where('device_id', '=', deviceId)
      .where('revoked_at_us', 'is', null)
      .executeTakeFirst();
    return Number(numUpdatedRows);
  }

  async seen(deviceId: string, atUs: number): Promise<void> {
    await this.#index
      .updateTable('devices')
      .set({ last_seen_at_us: atUs })
      .where('device_id', '=', deviceId)
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
