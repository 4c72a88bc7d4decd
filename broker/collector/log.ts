// Device logs: taken in under device_log, of the epoch under which the lines were written and now.
// INVARIANT: `stored` means durable, stored before, or erased by the owner; what consent does not cover
// leaves no trace.
import type { Logger } from 'pino';
import { decodeLogBatch } from '../../proto/log-batch.ts';
import type { ConsentGate } from '../consent/gate.ts';
import type { LogRows } from '../store/log-rows.ts';
import type { GroupCommit } from './group-commit.ts';

export interface LogTakingDeps {
  readonly gate: Pick<ConsentGate, 'mayTakeIn'>;
  readonly logs: Pick<LogRows, 'put'>;
  readonly groups: Pick<GroupCommit, 'checkRoom'>;
  readonly nowUs: () => number;
  readonly log: Logger;
}

interface Sender {
  readonly deviceId: string;
  readonly accountId: string;
}

export class LogTaking {
  readonly #deps: LogTakingDeps;

  constructor(deps: LogTakingDeps) {
    this.#deps = deps;
  }

  /** @throws DECODE_INVALID, STORE_FULL, STORE_FAILED; the sender is to be cut off, and keeps it. */
  async take({ deviceId, accountId }: Sender, payload: Uint8Array): Promise<'stored' | 'dropped'> {
    const { gate, logs, groups, nowUs, log } = this.#deps;
    const batch = decodeLogBatch(payload);
    const item = { epoch: batch.epoch, scopes: ['device_log'] } as const;
    if (gate.mayTakeIn(deviceId, item)) {
      await groups.checkRoom(payload.byteLength);
      const device = { device_id: deviceId, account_id: accountId };
      if ((await logs.put(device, batch, nowUs())) !== 'not_consented') return 'stored';
    }
    log.warn({ deviceId, noun: 'log', code: 'CONSENT_MISSING' }, 'not stored');
    return 'dropped';
  }
}
