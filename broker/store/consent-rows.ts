// Rows of policies, of the ledger, and of what is granted now. A record, the device's epoch and its
// granted scopes change in one transaction or not at all.
import { type GrantedSince, isScope, nextGranted, type Scope } from '../../proto/scopes.ts';
import { eraseTold, forgetOfDevice, forgetUnplaced, readGranted } from './covered.ts';
import { Gathered } from './gathered.ts';
import type { Index, Tables } from './schema.ts';

export type LedgerRow = Tables['ledger'];
export type PolicyRow = Tables['policies'];

/** Where a device stands, read inside the transaction that writes its next record. */
export interface Standing {
  readonly epoch: number;
  readonly granted: GrantedSince;
  /** Hash of the last record; empty before the first. */
  readonly lastHash: string;
  readonly last: LedgerRow | undefined;
  /** Of the device, see fleet/states.ts; empty when there is no such device. */
  readonly state: string;
  /** Every policy ever published, the one in force first. */
  readonly policies: readonly PolicyRow[];
}

/** What is granted of a device, for whoever only has to obey it. */
export interface InForce {
  readonly epoch: number;
  readonly granted: GrantedSince;
  /** Text of the last record; null before the first. */
  readonly record: string | null;
}

/** The row of the next epoch, and the scopes then in force. */
export interface NextRecord {
  readonly row: LedgerRow;
  readonly scopes: readonly Scope[];
  /** Kinds of what the device told that may stay; without device_info none may. */
  readonly told: readonly string[];
  /** The state that the device comes to with it; absent = it stays as it is. */
  readonly state?: Pick<Tables['devices'], 'state' | 'state_at_us' | 'state_reason'> | undefined;
}

export class ConsentRows {
  readonly #index: Index;
  readonly #inForce: Gathered<InForce>;

  constructor(index: Index) {
    this.#index = index;
    this.#inForce = new Gathered((deviceIds) => readInForce(index, deviceIds));
  }

  /**
   * Appends one record for a device. `write` gets where the device stands and returns the row of
   * epoch + 1 with the scopes then in force, or undefined to change nothing.
   */
  append(
    deviceId: string,
    write: (standing: Standing) => NextRecord | undefined,
  ): Promise<boolean> {
    return this.#within((trx) => appendIn(trx, deviceId, write));
  }

  /**
   * Publishes a policy and appends what it means for each device that has a record, all of it or
   * nothing. Returns the devices for which `write` returned a record.
   */
  async publish(
    policy: PolicyRow,
    write: (deviceId: string, standing: Standing) => NextRecord | undefined,
  ): Promise<string[]> {
    return this.#index.transaction().execute(async (trx) => {
      await trx.insertInto('policies').values(policy).execute();
      const devices = await trx
        .selectFrom('devices')
        .select('device_id')
        .where('epoch', '>', 0)
        .execute();
      const changed: string[] = [];
      for (const { device_id } of devices)
        if (await appendIn(trx, device_id, (standing) => write(device_id, standing)))
          changed.push(device_id);
      return changed;
    });
  }

  standing(deviceId: string): Promise<Standing> {
    return this.#within((trx) => readStanding(trx, deviceId));
  }

  /** Cheaper than `standing`, and as true: undefined when there is no such device. */
  inForce(deviceId: string): Promise<InForce | undefined> {
    return this.#inForce.get(deviceId);
  }

  /**
   * Forgets events that tell of the device itself, of before an epoch (null: all), and with them what only
   * they needed. Returns how many.
   */
  async forget(deviceId: string, beforeEpoch: number | null): Promise<number> {
    const forgotten = await forgetOfDevice(this.#index, deviceId, beforeEpoch);
    if (forgotten > 0)
      await this.#within(async (trx) => {
        const granted = await readGranted(trx, [deviceId]);
        await forgetUnplaced(trx, deviceId, [...(granted.get(deviceId)?.keys() ?? [])]);
      });
    return forgotten;
  }

  /** In the transaction that this was made for, else in one of its own. */
  #within<T>(work: (trx: Index) => Promise<T>): Promise<T> {
    return this.#index.isTransaction
      ? work(this.#index)
      : this.#index.transaction().execute((trx) => work(trx));
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

  policy(): Promise<PolicyRow | undefined> {
    return this.#index
      .selectFrom('policies')
      .selectAll()
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst();
  }

  policies(): Promise<PolicyRow[]> {
    return this.#index.selectFrom('policies').selectAll().orderBy('version').execute();
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

/** One statement, so that what belongs together is of one moment without a transaction. */
async function readInForce(
  index: Index,
  deviceIds: readonly string[],
): Promise<Map<string, InForce>> {
  const rows = await index
    .selectFrom('devices')
    .leftJoin('ledger', (join) =>
      join
        .onRef('ledger.device_id', '=', 'devices.device_id')
        .onRef('ledger.epoch', '=', 'devices.epoch'),
    )
    .leftJoin('granted', 'granted.device_id', 'devices.device_id')
    .select(['devices.device_id', 'devices.epoch', 'ledger.record'])
    .select(['granted.scope', 'granted.since_epoch'])
    .where('devices.device_id', 'in', deviceIds)
    .execute();
  const all = new Map<string, InForce & { readonly granted: Map<Scope, number> }>();
  for (const { device_id, epoch, record, scope, since_epoch } of rows) {
    const inForce = all.get(device_id) ?? { epoch, record, granted: new Map<Scope, number>() };
    all.set(device_id, inForce);
    if (scope !== null && since_epoch !== null && isScope(scope))
      inForce.granted.set(scope, since_epoch);
  }
  return all;
}

async function appendIn(
  trx: Index,
  deviceId: string,
  write: (standing: Standing) => NextRecord | undefined,
): Promise<boolean> {
  const standing = await readStanding(trx, deviceId);
  const next = write(standing);
  if (!next) return false;
  const { epoch } = next.row;
  await trx.insertInto('ledger').values(next.row).execute();
  await trx
    .updateTable('devices')
    .set({ epoch, ...next.state })
    .where('device_id', '=', deviceId)
    .execute();
  // What consent covers no longer is erased with the record that says so.
  await eraseTold(trx, deviceId, next.scopes.includes('device_info') ? next.told : []);
  await forgetUnplaced(trx, deviceId, next.scopes);
  await trx.deleteFrom('granted').where('device_id', '=', deviceId).execute();
  const granted = [...nextGranted(standing.granted, epoch, next.scopes)];
  if (granted.length > 0)
    await trx
      .insertInto('granted')
      .values(granted.map(([scope, since]) => grantedRow(deviceId, scope, since)))
      .execute();
  return true;
}

async function readStanding(trx: Index, deviceId: string): Promise<Standing> {
  const last = await trx
    .selectFrom('ledger')
    .selectAll()
    .where('device_id', '=', deviceId)
    .orderBy('epoch', 'desc')
    .limit(1)
    .executeTakeFirst();
  const granted = await readGranted(trx, [deviceId]);
  const device = await trx
    .selectFrom('devices')
    .select('state')
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  return {
    state: device?.state ?? '',
    epoch: last?.epoch ?? 0,
    granted: granted.get(deviceId) ?? new Map(),
    lastHash: last?.hash ?? '',
    last,
    policies: await trx.selectFrom('policies').selectAll().orderBy('version', 'desc').execute(),
  };
}
