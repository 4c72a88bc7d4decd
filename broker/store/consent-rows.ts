// Rows of policies, of the ledger, and of what is granted now. A record, the device's epoch and its
// granted scopes change in one transaction or not at all.
import type { Kysely } from 'kysely';
import { type GrantedSince, isScope, nextGranted, type Scope } from '../../proto/scopes.ts';
import type { Index, Tables } from './schema.ts';

export type LedgerRow = Tables['ledger'];
export type PolicyRow = Tables['policies'];

/** Where a device stands, read inside the transaction that writes its next record. */
export interface Standing {
  readonly epoch: number;
  readonly granted: GrantedSince;
  /** Hash of the last record; empty before the first. */
  readonly lastHash: string;
}

export class ConsentRows {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  /**
   * Appends one record for a device. `write` gets where the device stands and returns the row of
   * epoch + 1 with the scopes then in force, or undefined to change nothing.
   */
  async append(
    deviceId: string,
    write: (standing: Standing) => { row: LedgerRow; scopes: readonly Scope[] } | undefined,
  ): Promise<{ row: LedgerRow; scopes: readonly Scope[] } | undefined> {
    return this.#index.transaction().execute(async (trx) => {
      const standing = await readStanding(trx, deviceId);
      const next = write(standing);
      if (!next) return undefined;
      const { epoch } = next.row;
      await trx.insertInto('ledger').values(next.row).execute();
      await trx.updateTable('devices').set({ epoch }).where('device_id', '=', deviceId).execute();
      await trx.deleteFrom('granted').where('device_id', '=', deviceId).execute();
      const granted = [...nextGranted(standing.granted, epoch, next.scopes)];
      if (granted.length > 0)
        await trx
          .insertInto('granted')
          .values(granted.map(([scope, since]) => grantedRow(deviceId, scope, since)))
          .execute();
      return next;
    });
  }

  /** The latest record and what is granted under it, read at one moment. */
  inForce(deviceId: string): Promise<{ row: LedgerRow | undefined; standing: Standing }> {
    return this.#index.transaction().execute(async (trx) => ({
      row: await new ConsentRows(trx).last(deviceId),
      standing: await readStanding(trx, deviceId),
    }));
  }

  standing(deviceId: string): Promise<Standing> {
    return this.#index.transaction().execute((trx) => readStanding(trx, deviceId));
  }

  log(deviceId: string): Promise<LedgerRow[]> {
    return this.#index
      .selectFrom('ledger')
      .selectAll()
      .where('device_id', '=', deviceId)
      .orderBy('epoch')
      .execute();
  }

  last(deviceId: string): Promise<LedgerRow | undefined> {
    return this.#index
      .selectFrom('ledger')
      .selectAll()
      .where('device_id', '=', deviceId)
      .orderBy('epoch', 'desc')
      .limit(1)
      .executeTakeFirst();
  }

  async addPolicy(row: PolicyRow): Promise<void> {
    await this.#index.insertInto('policies').values(row).execute();
  }

  policy(): Promise<PolicyRow | undefined> {
    return this.#index
      .selectFrom('policies')
      .selectAll()
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst();
  }

  policyByHash(sha256: string): Promise<PolicyRow | undefined> {
    return this.#index
      .selectFrom('policies')
      .selectAll()
      .where('sha256', '=', sha256)
      .executeTakeFirst();
  }
}

function grantedRow(deviceId: string, scope: Scope, since: number): Tables['granted'] {
  return { device_id: deviceId, scope, since_epoch: since };
}

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

async function readStanding(index: Kysely<Tables>, deviceId: string): Promise<Standing> {
  const last = await index
    .selectFrom('ledger')
    .select(['epoch', 'hash'])
    .where('device_id', '=', deviceId)
    .orderBy('epoch', 'desc')
    .limit(1)
    .executeTakeFirst();
  const granted = await readGranted(index, [deviceId]);
  return {
    epoch: last?.epoch ?? 0,
    granted: granted.get(deviceId) ?? new Map(),
    lastHash: last?.hash ?? '',
  };
}
