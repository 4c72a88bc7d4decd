// Log batches of devices, sealed with the owner's key. INVARIANTS: one is taken in only under the rule at
// commit, once by its id, and without what the owner has erased; of a device each is received later than
// the one before, whatever the clock of the server does, so that who follows them misses none.
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { LogBatch } from '../../proto/log-batch.ts';
import { MAX_BATCH_BYTES } from '../../proto/log-batch.ts';
import { coveredBy } from './covered.ts';
import { logIdentity } from './identities.ts';
import type { Keys } from './keys.ts';
import { bounded, erasedOf, eraseIn, type Sealing, type Timed, without } from './log-erasure.ts';
import type { Span } from './media-rows.ts';
import type { Index, Tables } from './schema.ts';
import { seal, unseal } from './seal.ts';

type Row = Tables['log_batches'];

/** Of a device, what names its sealed rows. */
export interface LogDevice {
  readonly device_id: string;
  readonly account_id: string;
}

/** A batch as it is shown. */
export interface HeldBatch {
  readonly receivedAtUs: number;
  readonly firstAtUs: number;
  readonly dropped: number;
  /** JSON, one object each. */
  readonly lines: readonly string[];
}

export type LogOutcome = 'stored' | 'duplicate' | 'not_consented' | 'erased';

export class LogRows {
  readonly #index: Index;
  readonly #keys: Pick<Keys, 'account'>;

  constructor(index: Index, keys: Pick<Keys, 'account'>) {
    this.#index = index;
    this.#keys = keys;
  }

  /** `erased`: the owner has erased all of its time. @throws STORE_FAILED, STORE_FULL; then nothing was stored. */
  async put(device: LogDevice, batch: LogBatch, nowUs: number): Promise<LogOutcome> {
    const key = await this.#keys.account(device.account_id);
    const whole = bounded(batch);
    const row = rowOf(device, batch, whole, nowUs, key);
    return this.#index.transaction().execute(async (trx) => {
      const item = { epoch: batch.epoch, scopes: ['device_log'] } as const;
      if ((await coveredBy(trx, device.device_id, item)) === undefined) return 'not_consented';
      const erased = await erasedOf(trx, device.device_id, whole);
      const left = erased.length === 0 ? whole : without(whole, erased);
      if (left === null) return 'erased';
      return insert(trx, left === whole ? row : rowOf(device, batch, left, nowUs, key));
    });
  }

  /**
   * Batches that hold lines of the span, in the order of their receipt, received after `afterUs`.
   * @throws STORE_CORRUPT when one does not open.
   */
  async page(
    device: LogDevice,
    { fromUs, toUs }: Pick<Span, 'fromUs' | 'toUs'>,
    afterUs: number,
    limit: number,
  ): Promise<HeldBatch[]> {
    const rows = await this.#index
      .selectFrom('log_batches')
      .selectAll()
      .where('device_id', '=', device.device_id)
      .where('received_at_us', '>', afterUs)
      .where('last_at_us', '>=', fromUs)
      .where('first_at_us', '<', toUs)
      .orderBy('received_at_us')
      .limit(limit)
      .execute();
    if (rows.length === 0) return [];
    const key = await this.#keys.account(device.account_id);
    return rows.map((row) => ({
      receivedAtUs: row.received_at_us,
      firstAtUs: row.first_at_us,
      dropped: row.dropped,
      lines: unpacked(unseal(key, logIdentity(device, row.batch_id), row.sealed)),
    }));
  }

  /** When the newest batch was received; 0 for none. */
  async newest(deviceId: string): Promise<number> {
    return newestIn(this.#index, deviceId);
  }

  /**
   * Erases the lines of a stretch of time, in whatever batches they are, and refuses later ones of that
   * time. Returns how many lines went. @throws STORE_CORRUPT when a batch does not open; then none went.
   */
  async remove(device: LogDevice, span: Span, nowUs: number): Promise<number> {
    const key = await this.#keys.account(device.account_id);
    const sealing: Sealing = {
      open: (row) => unpacked(unseal(key, logIdentity(device, row.batch_id), row.sealed)),
      seal: (row, left) => ({
        ...row,
        ...boundsOf(left),
        sealed: sealed(key, device, row.batch_id, left.lines),
      }),
    };
    return this.#index
      .transaction()
      .execute((trx) => eraseIn(trx, { ...span, deviceId: device.device_id }, nowUs, sealing));
  }

  /** Deletes what was taken in before `beforeUs`. Returns how many batches. */
  async expire(deviceId: string, beforeUs: number): Promise<number> {
    const { numDeletedRows } = await this.#index
      .deleteFrom('log_batches')
      .where('device_id', '=', deviceId)
      .where('received_at_us', '<', beforeUs)
      .executeTakeFirst();
    return Number(numDeletedRows);
  }
}

function rowOf(
  device: LogDevice,
  { batchId, epoch }: LogBatch,
  held: Timed,
  nowUs: number,
  key: Buffer,
): Row {
  return {
    device_id: device.device_id,
    batch_id: batchId,
    ...boundsOf(held),
    dropped: held.dropped,
    epoch,
    sealed: sealed(key, device, batchId, held.lines),
    received_at_us: nowUs,
  };
}

function boundsOf({ firstAtUs, lastAtUs, lines }: Timed) {
  return { first_at_us: firstAtUs, last_at_us: lastAtUs, lines: lines.length };
}

function sealed(
  key: Buffer,
  device: LogDevice,
  batchId: string,
  lines: readonly string[],
): Uint8Array {
  const packed = zstdCompressSync(lines.join('\n'));
  return Buffer.concat(seal(key, logIdentity(device, batchId), packed));
}

async function insert(trx: Index, row: Row): Promise<'stored' | 'duplicate'> {
  const received_at_us = Math.max(row.received_at_us, (await newestIn(trx, row.device_id)) + 1);
  const inserted = await trx
    .insertInto('log_batches')
    .values({ ...row, received_at_us })
    .onConflict((conflict) => conflict.columns(['device_id', 'batch_id']).doNothing())
    .returning('batch_id')
    .executeTakeFirst();
  return inserted ? 'stored' : 'duplicate';
}

async function newestIn(index: Index, deviceId: string): Promise<number> {
  const newest = await index
    .selectFrom('log_batches')
    .select('received_at_us')
    .where('device_id', '=', deviceId)
    .orderBy('received_at_us', 'desc')
    .limit(1)
    .executeTakeFirst();
  return newest?.received_at_us ?? 0;
}

function unpacked(packed: Uint8Array): string[] {
  const text = zstdDecompressSync(packed, { maxOutputLength: MAX_BATCH_BYTES }).toString();
  return text === '' ? [] : text.split('\n');
}
