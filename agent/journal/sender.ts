// Sends the journal to the server, while the owner consents to device logs: every few seconds, at once
// when an error was noted or much waits. INVARIANTS: one batch under way at a time; one that was not
// acknowledged is sent again as it was, by the same id; consent is asked before each sending.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import type { Captured, Gate } from '../consent/gate.ts';
import type { Errand, Line } from '../uplink/errand.ts';
import { type Bundle, encodeBundle, loggedUnder } from './bundle.ts';
import type { Journal } from './journal.ts';

const INTERVAL_MS = 5000;
/** Between two batches, however urgent. */
const LEAST_MS = 500;

export interface JournalSenderDeps {
  readonly journal: Pick<Journal, 'next' | 'sent' | 'onUrgent'>;
  readonly gate: Pick<Gate, 'maySend' | 'mayKeep'>;
  readonly log: Logger;
  /** Between two batches. Absent: 5 s. */
  readonly intervalMs?: number;
}

interface Batch {
  readonly bundle: Bundle;
  readonly payload: Uint8Array;
}

export class JournalSender implements Errand {
  readonly noun = null;
  readonly #deps: JournalSenderDeps;
  #unacknowledged: Batch | null = null;
  #underWay: Captured | null = null;

  constructor(deps: JournalSenderDeps) {
    this.#deps = deps;
  }

  receive(): void {}

  underWay(): Captured | null {
    return this.#underWay;
  }

  async run(line: Line, signal: AbortSignal): Promise<void> {
    const { journal, log } = this.#deps;
    let urgent = new AbortController();
    journal.onUrgent = () => urgent.abort();
    while (!signal.aborted) {
      urgent = new AbortController();
      try {
        await this.#sendAll(line, signal);
      } catch (error) {
        log.debug({ code: toLenscapError(error).code }, 'the log was not taken');
      }
      await this.#rest(urgent.signal, signal);
    }
  }

  async #rest(urgent: AbortSignal, signal: AbortSignal): Promise<void> {
    const { intervalMs = INTERVAL_MS } = this.#deps;
    await sleep(Math.min(LEAST_MS, intervalMs), undefined, { signal }).catch(() => undefined);
    const either = AbortSignal.any([urgent, signal]);
    await sleep(intervalMs, undefined, { signal: either }).catch(() => undefined);
  }

  async #sendAll(line: Line, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const batch = this.#next();
      if (batch === null) return;
      this.#underWay = loggedUnder(batch.bundle.epoch);
      await line.publish('log', batch.payload).finally(() => {
        this.#underWay = null;
      });
      this.#deps.journal.sent(batch.bundle.last);
      this.#unacknowledged = null;
    }
  }

  /** Null where nothing waits that may be sent now; what may never be sent is passed over for good. */
  #next(): Batch | null {
    const { journal, gate } = this.#deps;
    const mayKeep = (epoch: number): boolean => gate.mayKeep(loggedUnder(epoch));
    if (this.#unacknowledged !== null && !mayKeep(this.#unacknowledged.bundle.epoch))
      this.#unacknowledged = null;
    if (this.#unacknowledged === null) {
      const bundle = journal.next(mayKeep);
      if (bundle !== null) this.#unacknowledged = { bundle, payload: encodeBundle(bundle) };
    }
    const batch = this.#unacknowledged;
    // A lease that ran out may be renewed: then it waits.
    return batch !== null && gate.maySend(loggedUnder(batch.bundle.epoch)) ? batch : null;
  }
}
