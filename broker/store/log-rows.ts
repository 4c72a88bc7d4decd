// Log batches of devices, sealed with the owner's key. INVARIANTS: one is taken in only under the rule at
// commit, and once by its id; of a device each is received later than the one before, whatever the
// clock of the server does, so that who follows them misses none.
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { LogBatch } from '../../proto/log-batch.ts';
import { MAX_BATCH_BYTES } from '../../proto/log-batch.ts';
import { mayTakeIn } from '../../proto/scopes.ts';
import { readGranted } from './consent-rows.ts';
import { logIdentity } from './identities.ts';
import type { Keys } from './keys.ts';
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

export type LogOutcome = 'stored' | 'duplicate' | 'not_consented';

export class LogRows {
  readonly #index: Index;
  readonly #keys: Pick<Keys, 'account'>;

  constructor(index: Index, keys: Pick<Keys, 'account'>) {
    this.#index = index;
    this.#keys = keys;
  }

  /** @throws STORE_FAILED, STORE_FULL; then nothing was stored. */
  async put(device: LogDevice, batch: LogBatch, nowUs: number): Promise<LogOutcome> {
    const key = await this.#keys.account(device.account_id);
    const packed = zstdCompressSync(batch.lines.join('\n'));
    const row = {
      device_id: device.device_id,
      batch_id: batch.batchId,
      first_at_us: batch.firstAtUs,
      last_at_us: batch.lastAtUs,
      lines: batch.lines.length,
      dropped: batch.dropped,
      epoch: batch.epoch,
      sealed: Buffer.concat(seal(key, logIdentity(device, batch.batchId), packed)),
      received_at_us: nowUs,
    };
    return this.#index.transaction().execute((trx) => putIn(trx, row));
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

  /** Deletes every batch that holds lines of the span. Returns how many lines went. */
  remove({ deviceId, fromUs, toUs }: Span): Promise<number> {
    return this.#index.transaction().execute(async (trx) => {
      const removed = await trx
        .deleteFrom('log_batches')
        .where('device_id', '=', deviceId)
        .where('last_at_us', '>=', fromUs)
        .where('first_at_us', '<', toUs)
        .returning('lines')
        .execute();
      return removed.reduce((sum, { lines }) => sum + lines, 0);
    });
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

/** An epoch that the ledger does not have yet would outlast a withdrawal. */
async function putIn(trx: Index, row: Row): Promise<LogOutcome> {
  const { device_id, epoch } = row;
  const device = await trx
    .selectFrom('devices')
    .select('epoch')
    .where('device_id', '=', device_id)
    .executeTakeFirst();
  const granted = (await readGranted(trx, [device_id])).get(device_id) ?? new Map();
  const isKnown = device !== undefined && epoch <= device.epoch;
  if (!isKnown || !mayTakeIn({ epoch, scopes: ['device_log'] }, granted)) return 'not_consented';
  const received_at_us = Math.max(row.received_at_us, (await newestIn(trx, device_id)) + 1);
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
