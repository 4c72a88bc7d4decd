// Rows of the certificates of devices. No key is certified twice: the index refuses it.
import type { Index, Tables } from './schema.ts';

export type CertificateRow = Tables['certificates'];

export class CertificateRows {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  async add(row: CertificateRow): Promise<void> {
    await this.#index.insertInto('certificates').values(row).execute();
  }

  all(): Promise<CertificateRow[]> {
    return this.#index.selectFrom('certificates').selectAll().execute();
  }

  ofDevice(deviceId: string): Promise<CertificateRow[]> {
    return this.#index
      .selectFrom('certificates')
      .selectAll()
      .where('device_id', '=', deviceId)
      .orderBy('issued_at_us')
      .execute();
  }

  bySerial(serial: string): Promise<CertificateRow | undefined> {
    return this.#index
      .selectFrom('certificates')
      .selectAll()
      .where('serial', '=', serial)
      .executeTakeFirst();
  }

  byKey(keySha256: string): Promise<CertificateRow | undefined> {
    return this.#index
      .selectFrom('certificates')
      .selectAll()
      .where('key_sha256', '=', keySha256)
      .executeTakeFirst();
  }

  /** What renewals led to and has not been used; what claims led to is apart from it. */
  pendingRenewals(deviceId: string, nowUs: number): Promise<CertificateRow[]> {
    return this.#index
      .selectFrom('certificates')
      .selectAll()
      .where('device_id', '=', deviceId)
      .where('used_at_us', 'is', null)
      .where('revoked_at_us', 'is', null)
      .where('not_after_us', '>', nowUs)
      .where('key_sha256', 'not in', (claims) =>
        claims
          .selectFrom('claims')
          .select('key_sha256')
          .where('key_sha256', 'is not', null)
          .$castTo<{
            key_sha256: string;
          }>(),
      )
      .execute();
  }

  async setUsed(serial: string, atUs: number): Promise<void> {
    await this.#index
      .updateTable('certificates')
      .set({ used_at_us: atUs })
      .where('serial', '=', serial)
      .execute();
  }

  async revoke(serial: string, atUs: number): Promise<void> {
    await this.#index
      .updateTable('certificates')
      .set({ revoked_at_us: atUs })
      .where('serial', '=', serial)
      .where('revoked_at_us', 'is', null)
      .execute();
  }

  /** Revokes every certificate of a device, but for `except`; returns how many were valid till now. */
  async revokeAll(deviceId: string, atUs: number, except = ''): Promise<number> {
    const { numUpdatedRows } = await this.#index
      .updateTable('certificates')
      .set({ revoked_at_us: atUs })
      .where('device_id', '=', deviceId)
      .where('serial', '!=', except)
      .where('revoked_at_us', 'is', null)
      .executeTakeFirst();
    return Number(numUpdatedRows);
  }
}
