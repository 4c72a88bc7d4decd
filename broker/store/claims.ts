// Rows of claims, that is of setup codes. A claim is open until it was used, cancelled or forgotten;
// whether it has expired or was tried too often is judged in fleet/claims.ts.
import type { Index, Tables } from './schema.ts';

export type ClaimRow = Tables['claims'];

export class ClaimRows {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  async add(row: ClaimRow): Promise<void> {
    await this.#index.insertInto('claims').values(row).execute();
  }

  byId(claimId: string): Promise<ClaimRow | undefined> {
    return this.#index
      .selectFrom('claims')
      .selectAll()
      .where('claim_id', '=', claimId)
      .executeTakeFirst();
  }

  /** The claim that was answered for this key. */
  byKey(keySha256: string): Promise<ClaimRow | undefined> {
    return this.#index
      .selectFrom('claims')
      .selectAll()
      .where('key_sha256', '=', keySha256)
      .executeTakeFirst();
  }

  /** Newest first. */
  ofAccount(accountId: string, sinceUs: number): Promise<ClaimRow[]> {
    return this.#index
      .selectFrom('claims')
      .selectAll()
      .where('account_id', '=', accountId)
      .where('created_at_us', '>=', sinceUs)
      .orderBy('created_at_us', 'desc')
      .execute();
  }

  /** Forgets what no board has asked for, made before `beforeUs`. */
  async dropUnused(accountId: string, beforeUs: number): Promise<void> {
    await this.#index
      .deleteFrom('claims')
      .where('account_id', '=', accountId)
      .where('created_at_us', '<', beforeUs)
      .where('key_sha256', 'is', null)
      .execute();
  }

  /** Counts a wrong proof while the claim is open and has fewer than `limit`. */
  async countFailure(claimId: string, code: string, limit: number): Promise<void> {
    await this.#index
      .updateTable('claims')
      .set((row) => ({ failures: row('failures', '+', 1), last_failure: code }))
      .where('claim_id', '=', claimId)
      .where('failures', '<', limit)
      .where('used_at_us', 'is', null)
      .execute();
  }

  /** For the owner to see why the board was refused. */
  async noteFailure(claimId: string, code: string): Promise<void> {
    await this.#index
      .updateTable('claims')
      .set({ last_failure: code })
      .where('claim_id', '=', claimId)
      .execute();
  }

  /** Binds a claim to the key that it is answered for, and to the device. */
  async bind(claimId: string, deviceId: string, keySha256: string): Promise<void> {
    await this.#index
      .updateTable('claims')
      .set({ device_id: deviceId, key_sha256: keySha256, last_failure: null })
      .where('claim_id', '=', claimId)
      .execute();
  }

  async setUsed(claimId: string, atUs: number): Promise<void> {
    await this.#index
      .updateTable('claims')
      .set({ used_at_us: atUs })
      .where('claim_id', '=', claimId)
      .execute();
  }

  async cancel(claimId: string, atUs: number): Promise<void> {
    await this.#index
      .updateTable('claims')
      .set({ cancelled_at_us: atUs })
      .where('claim_id', '=', claimId)
      .execute();
  }

  /** Cancels what is open for a device, since its life or its ownership ends. */
  async cancelOfDevice(deviceId: string, atUs: number): Promise<void> {
    await this.#index
      .updateTable('claims')
      .set({ cancelled_at_us: atUs })
      .where('device_id', '=', deviceId)
      .where('used_at_us', 'is', null)
      .where('cancelled_at_us', 'is', null)
      .execute();
  }
}
