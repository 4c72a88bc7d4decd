// Rows of the certificates of devices. No key is certified twice: the index refuses it.
import type { DeviceRow } from './devices.ts';
import { Gathered } from './gathered.ts';
import type { Index, Tables } from './schema.ts';

export type CertificateRow = Tables['certificates'];

/** What decides about whoever presents a certificate. */
export interface Presented {
  readonly certificate: CertificateRow;
  readonly device: DeviceRow;
}

export class CertificateRows {
  readonly #index: Index;
  readonly #presented: Gathered<Presented>;

  constructor(index: Index) {
    this.#index = index;
    this.#presented = new Gathered((serials) => readPresented(index, serials));
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

  /** The certificate with its device, as they are at one moment. */
  presented(serial: string): Promise<Presented | undefined> {
    return this.#presented.get(serial);
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

  /** How many of a device were issued since then and never used. */
  async countUnused(deviceId: string, sinceUs: number): Promise<number> {
    const { count } = await this.#index
      .selectFrom('certificates')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('device_id', '=', deviceId)
      .where('issued_at_us', '>', sinceUs)
      .where('used_at_us', 'is', null)
      .executeTakeFirstOrThrow();
    return count;
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

async function readPresented(
  index: Index,
  serials: readonly string[],
): Promise<Map<string, Presented>> {
  const rows = await index
    .selectFrom('certificates')
    .innerJoin('devices', 'devices.device_id', 'certificates.device_id')
    .selectAll('devices')
    .select([
      // A board has a serial as well.
      'certificates.serial as certificate_serial',
      'certificates.fingerprint',
      'certificates.key_sha256',
      'certificates.pem',
      'certificates.issued_at_us',
      'certificates.not_after_us',
      'certificates.used_at_us',
      'certificates.revoked_at_us',
    ])
    .where('certificates.serial', 'in', serials)
    .execute();
  return new Map(
    rows.map((row) => {
      const certificate = { ...row, serial: row.certificate_serial };
      return [certificate.serial, { certificate, device: row }];
    }),
  );
}
