// A board without an identity: waits for a code from its sources, for an owner who claims it by its
// label, or for a command that claims it. INVARIANT: one exchange at a time, on all of these ways.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { ERRORS, type LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { FactoryIdentity } from '../../proto/identity.ts';
import { decodeSetupCode } from '../../proto/setup-code.ts';
import type { CodeSource } from '../claim/source.ts';
import { backoffMs } from '../uplink/backoff.ts';
import { type Applicant, type ExchangeDeps, exchange } from './exchange.ts';
import { findIdentity } from './identity.ts';
import { withIdentityLock } from './lock.ts';

const LOOK_MS = 500;
/** Between two asks of a board that no owner has claimed yet, and after a failure. */
const POLL = { backoffMinMs: 1000, backoffMaxMs: 60_000 };
/** A server with many boards that wait may ask each to come less often. */
const LONGEST_WAIT_MS = 600_000;

export interface UnclaimedDeps extends Omit<ExchangeDeps, 'onStep' | 'mayReadmit'> {
  readonly sources: readonly CodeSource[];
  /** Null: the board cannot be claimed by its label. */
  readonly factory: FactoryIdentity | null;
  readonly log: Logger;
  readonly random: () => number;
}

export class Unclaimed {
  readonly #deps: UnclaimedDeps;
  readonly #claimed = new AbortController();
  #lastPolled: string | undefined;

  constructor(deps: UnclaimedDeps) {
    this.#deps = deps;
  }

  /** Resolves when there is an identity, or when `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { sources, factory, log } = this.#deps;
    const end = AbortSignal.any([signal, this.#claimed.signal]);
    const ways = [...sources.map(({ name }) => name), 'lenscap-agent claim'];
    log.info(`no identity yet: waiting for a setup code (${ways.join(', ')})`);
    await Promise.all([
      this.#watch(end),
      ...sources.map((source) => this.#listenTo(source, end)),
      ...(factory === null ? [] : [this.#poll(factory, end)]),
    ]);
  }

  /** A command may have claimed the board; it holds the lock until it is done. */
  async #watch(end: AbortSignal): Promise<void> {
    const { identityPath, stateDir } = this.#deps;
    while (!end.aborted) {
      if (findIdentity(identityPath) !== null) {
        await withIdentityLock(stateDir, end, () => undefined).catch(() => undefined);
        this.#claimed.abort();
        return;
      }
      await sleep(LOOK_MS, undefined, { signal: end }).catch(() => undefined);
    }
  }

  async #listenTo(source: CodeSource, end: AbortSignal): Promise<void> {
    let hasClaimed = false;
    const offer = async (code: string, from: string) => {
      const answer = await this.#offer(code, from, end);
      hasClaimed ||= answer === 'claimed';
      return answer;
    };
    try {
      await source.run(offer, end);
      // Not earlier: a source has to erase the code that was used.
      if (hasClaimed) this.#claimed.abort();
    } catch (error) {
      if (end.aborted) return;
      const { code, message } = toLenscapError(error);
      this.#deps.log.error({ code, source: source.name }, `no codes from there: ${message}`);
    }
  }

  async #offer(text: string, from: string, end: AbortSignal) {
    const { log } = this.#deps;
    try {
      await this.#exchange({ kind: 'code', code: decodeSetupCode(text) }, end);
      return 'claimed';
    } catch (thrown) {
      if (end.aborted) return this.#claimed.signal.aborted ? 'refused' : 'retry';
      const { code, message } = toLenscapError(thrown);
      log.warn({ code, from }, `a setup code was not taken: ${message}`);
      return ERRORS[code].retry ? 'retry' : 'refused';
    }
  }

  /** Null when there is an identity now, else after how many seconds to ask again. */
  async #exchange(applicant: Applicant, end: AbortSignal): Promise<number | null> {
    const { log } = this.#deps;
    const onStep = (step: string) => log.debug(step);
    const outcome = await exchange({ ...this.#deps, mayReadmit: false, onStep }, applicant, end);
    if (outcome.kind === 'waiting') return outcome.retryAfterS;
    log.info({ deviceId: outcome.identity.deviceId }, 'this camera is claimed');
    return null;
  }

  async #poll(factory: FactoryIdentity, end: AbortSignal): Promise<void> {
    const { random } = this.#deps;
    for (let failures = 0; !end.aborted; ) {
      let waitMs: number;
      try {
        const retryAfterS = await this.#exchange({ kind: 'board', factory }, end);
        if (retryAfterS === null) return this.#claimed.abort();
        failures = 0;
        const askedMs = Math.max(POLL.backoffMinMs, retryAfterS * 1000);
        waitMs = Math.min(LONGEST_WAIT_MS, askedMs) * (0.75 + random() / 2);
        this.#tell('CLAIM_WAITING', 'waiting for an owner who claims it by its label', factory);
      } catch (thrown) {
        if (end.aborted) return;
        waitMs = Math.max(POLL.backoffMinMs, backoffMs(++failures, POLL, random));
        this.#tellFailure(toLenscapError(thrown), factory);
      }
      await sleep(waitMs, undefined, { signal: end }).catch(() => undefined);
    }
  }

  #tellFailure({ code, message }: LenscapError, factory: FactoryIdentity): void {
    this.#tell(code, `the board cannot be claimed by its label now: ${message}`, factory);
  }

  /** Each answer once, until another one comes. */
  #tell(code: string, text: string, { serial }: FactoryIdentity): void {
    const level = this.#lastPolled === code ? 'debug' : code === 'CLAIM_WAITING' ? 'info' : 'warn';
    this.#lastPolled = code;
    this.#deps.log[level]({ code, serial }, text);
  }
}
