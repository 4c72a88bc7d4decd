// What devices told of themselves: the last message of each kind, sealed with the owner's key, and
// only while device_info is granted. INVARIANT: a row holds no part of device information that the
// policy agreed to does not name; consent-rows.ts erases rows in the transaction that narrows it.
import { decodeReported, encodeReported, type Reported } from '../../proto/desired-config.ts';
import { decodeHealth, encodeHealth, type Health } from '../../proto/health.ts';
import { decodeInfo, encodeInfo, type Info } from '../../proto/info.ts';
import { coveredBy, eraseTold } from './covered.ts';
import { toldIdentity } from './identities.ts';
import type { Keys } from './keys.ts';
import type { Index, Tables } from './schema.ts';
import { seal, unseal } from './seal.ts';

/** A message by which a device tells of itself. */
export type Telling =
  | { readonly noun: 'info'; readonly message: Info }
  | { readonly noun: 'health'; readonly message: Health }
  | { readonly noun: 'reported'; readonly message: Reported };
export type ToldNoun = Telling['noun'];

/** Who is told what a device told, once it is stored. */
export type ToldListener = (deviceId: string, telling: Telling) => void;

interface Held<T> {
  readonly receivedAtUs: number;
  readonly message: T;
}

/** All that is held of what a device told; null: nothing of that kind. */
export interface ToldOfDevice {
  readonly info: Held<Info> | null;
  readonly health: Held<Health> | null;
  readonly reported: Held<Reported> | null;
}

export const NOTHING_TOLD: ToldOfDevice = { info: null, health: null, reported: null };

/** Of a device, what names its sealed rows. */
export interface ToldDevice {
  readonly device_id: string;
  readonly account_id: string;
}

/**
 * `changed`: consent is no longer that of the epoch by which it was decided what may be kept; decide
 * again. `not_consented`: it stays unstored.
 */
export type Noted = 'stored' | 'changed' | 'not_consented';

export class Told {
  readonly #index: Index;
  readonly #keys: Pick<Keys, 'account'>;

  constructor(index: Index, keys: Pick<Keys, 'account'>) {
    this.#index = index;
    this.#keys = keys;
  }

  /**
   * Keeps what a device told, in place of what it told before. `telling` holds only what may be kept
   * by the consent of epoch `asOf`.
   */
  async note(
    device: ToldDevice,
    telling: Telling,
    { asOf, nowUs }: { readonly asOf: number; readonly nowUs: number },
  ): Promise<Noted> {
    const key = await this.#keys.account(device.account_id);
    const { noun, message } = telling;
    const row = {
      device_id: device.device_id,
      noun,
      epoch: message.epoch,
      received_at_us: nowUs,
      sealed: Buffer.concat(seal(key, toldIdentity(device, noun), encoded(telling))),
    };
    return this.#index.transaction().execute((trx) => noteIn(trx, row, asOf));
  }

  /** @throws STORE_CORRUPT when a row does not open. */
  async of(device: ToldDevice): Promise<ToldOfDevice> {
    const { device_id, account_id } = device;
    const rows = await this.#index
      .selectFrom('told')
      .selectAll()
      .where('device_id', '=', device_id)
      .execute();
    if (rows.length === 0) return NOTHING_TOLD;
    const key = await this.#keys.account(account_id);
    const held = <T>(noun: ToldNoun, decode: (bytes: Uint8Array) => T): Held<T> | null => {
      const row = rows.find((one) => one.noun === noun);
      if (!row) return null;
      const message = decode(unseal(key, toldIdentity(device, noun), row.sealed));
      return { receivedAtUs: row.received_at_us, message };
    };
    return {
      info: held('info', decodeInfo),
      health: held('health', decodeHealth),
      reported: held('reported', decodeReported),
    };
  }

  /** What the device last answered about its configuration; null: nothing that may be known. */
  async reported(device: ToldDevice): Promise<Held<Reported> | null> {
    return (await this.of(device)).reported;
  }

  /**
   * Erases what a device told, if it told nothing since. Only changes are told, so that what is old
   * holds for as long as anything is.
   */
  expire(deviceId: string, beforeUs: number): Promise<number> {
    return this.#index.transaction().execute(async (trx) => {
      const { last } = await trx
        .selectFrom('told')
        .select((eb) => eb.fn.max<number | null>('received_at_us').as('last'))
        .where('device_id', '=', deviceId)
        .executeTakeFirstOrThrow();
      return last !== null && last < beforeUs ? eraseTold(trx, deviceId, []) : 0;
    });
  }

  /** Erases what a device told. Returns of how many kinds there was something. */
  erase(deviceId: string): Promise<number> {
    return this.#index.transaction().execute((trx) => eraseTold(trx, deviceId, []));
  }
}

function encoded({ noun, message }: Telling): Uint8Array {
  switch (noun) {
    case 'info':
      return encodeInfo(message);
    case 'health':
      return encodeHealth(message);
    case 'reported':
      return encodeReported(message);
  }
}

async function noteIn(trx: Index, row: Tables['told'], asOf: number): Promise<Noted> {
  const { device_id, epoch } = row;
  const inForce = await coveredBy(trx, device_id, { epoch, scopes: ['device_info'] });
  if (inForce === undefined) return 'not_consented';
  if (inForce !== asOf) return 'changed';
  await trx
    .insertInto('told')
    .values(row)
    .onConflict((conflict) =>
      conflict
        .columns(['device_id', 'noun'])
        .doUpdateSet({ epoch, received_at_us: row.received_at_us, sealed: row.sealed }),
    )
    .execute();
  return 'stored';
}
