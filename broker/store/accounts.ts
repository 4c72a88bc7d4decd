// Rows of accounts and their logins. Passwords and tokens are stored as hashes only.
import { LenscapError } from '../../proto/errors.ts';
import type { Index, Tables } from './schema.ts';

export type AccountRow = Tables['accounts'];

export class Accounts {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  /** @throws CONFLICT when the address has an account already. */
  async add(row: AccountRow): Promise<void> {
    const { numInsertedOrUpdatedRows } = await this.#index
      .insertInto('accounts')
      .values(row)
      .onConflict((conflict) => conflict.column('email').doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows === 0n)
      throw new LenscapError('CONFLICT', `an account of ${row.email}`);
  }

  byEmail(email: string): Promise<AccountRow | undefined> {
    return this.#index
      .selectFrom('accounts')
      .selectAll()
      .where('email', '=', email)
      .executeTakeFirst();
  }

  async addLogin(row: Tables['logins']): Promise<void> {
    await this.#index.deleteFrom('logins').where('expires_at_us', '<', row.created_at_us).execute();
    await this.#index.insertInto('logins').values(row).execute();
  }

  /** The account of a login that has not expired. */
  async byToken(tokenSha256: string, nowUs: number): Promise<AccountRow | undefined> {
    return this.#index
      .selectFrom('logins')
      .innerJoin('accounts', 'accounts.account_id', 'logins.account_id')
      .selectAll('accounts')
      .where('token_sha256', '=', tokenSha256)
      .where('expires_at_us', '>', nowUs)
      .executeTakeFirst();
  }

  async removeLogin(tokenSha256: string): Promise<void> {
    await this.#index.deleteFrom('logins').where('token_sha256', '=', tokenSha256).execute();
  }
}
