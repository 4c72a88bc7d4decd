// A journal on a folder of the test, with a consent that can be given and taken, and a logger before it.
import type { Logger } from 'pino';
import type { Test } from 'tap';
import { encodeBundle } from '../../../agent/journal/bundle.ts';
import { Journal, type LogSettings } from '../../../agent/journal/journal.ts';
import { makeLog } from '../../../agent/journal/logger.ts';
import { Secrets } from '../../../agent/journal/secrets.ts';
import { decodeLogBatch, type LogBatch } from '../../../proto/log-batch.ts';
import { mayTakeIn, type Scope } from '../../../proto/scopes.ts';
import type { UpNoun } from '../../../proto/topics.ts';

export const DEVICE = 'cam-aaaaaaaaaaaaaaaa';

interface Written {
  readonly epoch: number;
  readonly scopes: readonly Scope[];
}

/** As the gate says it: an epoch that grows, and since when logs are granted. */
export class Consent {
  epoch = 1;
  since: number | null = null;
  /** Whether the lease of the grant has run out. */
  isOverdue = false;

  grant(): void {
    this.epoch += 1;
    this.since = this.epoch;
  }

  withdraw(): void {
    this.epoch += 1;
    this.since = null;
  }

  readonly gate = {
    grantOf: (scope: Scope) =>
      scope === 'device_log' && this.since !== null && !this.isOverdue
        ? { epoch: this.epoch, since: this.since }
        : null,
    maySend: (item: Written): boolean => !this.isOverdue && this.gate.mayKeep(item),
    mayKeep: (item: Written): boolean =>
      mayTakeIn(item, this.since === null ? new Map() : new Map([['device_log', this.since]])),
  };
}

export interface Rig {
  readonly folder: string;
  readonly journal: Journal;
  readonly log: Logger;
  readonly consent: Consent;
  readonly secrets: Secrets;
  /** Everything that would be sent now, acknowledged. */
  readonly drain: () => { lines: string[]; dropped: number; ids: string[] };
}

export function rig(
  t: Test,
  settings: Partial<LogSettings> = {},
  folder = `${t.testdir()}/journal`,
  consent = new Consent(),
  nowMs = () => performance.now(),
): Rig {
  const secrets = new Secrets();
  const journal = new Journal({
    folder,
    secrets,
    settings: () => ({ level: 'trace', maxBytes: 4 << 20, linesPerMinute: 60_000, ...settings }),
    nowMs,
  });
  journal.attach({ deviceId: DEVICE, gate: consent.gate });
  const { log } = makeLog('trace', journal, { write: () => undefined });
  const drain = () => {
    const lines: string[] = [];
    const ids: string[] = [];
    let dropped = 0;
    for (;;) {
      const mayKeep = (epoch: number) => consent.gate.mayKeep({ epoch, scopes: ['device_log'] });
      const bundle = journal.next(mayKeep);
      if (bundle === null) return { lines, dropped, ids };
      const { batchId } = decodeLogBatch(encodeBundle(bundle));
      for (const entry of bundle.entries) {
        ids.push(batchId);
        if (entry.line !== '') lines.push(entry.line);
        dropped += entry.dropped;
      }
      journal.sent(bundle.last);
    }
  };
  return { folder, journal, log, consent, secrets, drain };
}

/** A connection that keeps what is published, or fails as told. */
export class FakeLine {
  readonly payloads: Uint8Array[] = [];
  failures = 0;

  get batches(): LogBatch[] {
    return this.payloads.map(decodeLogBatch);
  }

  async publish(_noun: UpNoun, payload: Uint8Array): Promise<void> {
    this.payloads.push(payload);
    if (this.failures-- > 0) throw new Error('the line broke before the acknowledgement');
  }

  reconnect(): void {}
}
