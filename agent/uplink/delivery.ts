// What happens on one connection: grants in, items out, verdicts obeyed.
// Invariants: nothing is published before a grant of this very connection was obeyed; at most
// `window` items are unacknowledged; an item is freed by its PUBACK alone, and a verdict that came
// before the PUBACK wins over it.

import type { Logger } from 'pino';
import type { AgentConfig } from '../../proto/agent-config.ts';
import { type ErrorCode, type LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { DownNoun } from '../../proto/topics.ts';
import { decodeVerdict, encodeApplied, type Verdict } from '../../proto/verdict.ts';
import type { Clock } from '../clock.ts';
import type { Captured, Spool, SpoolItem } from '../spool/spool.ts';
import { backoffMs } from './backoff.ts';
import type { DeviceSession } from './device-session.ts';
import type { Errand } from './errand.ts';
import { capturedIn, coverOf, isSameTarget, type Message, messageOf, targetOf } from './message.ts';

export interface DeliveryDeps {
  readonly config: AgentConfig['uplink'];
  readonly spool: Spool;
  readonly gate: {
    accept(payload: Uint8Array): { readonly outcome: string; readonly epoch?: number };
    mayKeep(item: Captured): boolean;
    maySend(item: Captured): boolean;
    onChange(listener: () => void): () => void;
  };
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** What else is settled over the connection. */
  readonly errands: readonly Errand[];
  /** Longest wait for the first grant of a connection. */
  readonly grantTimeoutMs: number;
}

interface Flight {
  readonly item: SpoolItem;
  /** Set by a verdict that asks for the item again. */
  retry: ErrorCode | null;
}

export class Delivery {
  readonly #deps: DeliveryDeps;
  readonly #flights = new Map<number, Flight>();
  /** How often the server asked for an item again. */
  readonly #refusals = new Map<number, number>();
  #wake = Promise.withResolvers<void>();
  #isSynced = false;
  #epochToReport: number | undefined;
  /** The lease ran out: wait for the gate. */
  #isHeld = false;
  #pause: NodeJS.Timeout | undefined;
  #over: LenscapError | undefined;
  #delivered = 0;
  #session: DeviceSession | undefined;
  #wasWithdrawn = false;
  #isLeaving = false;
  #errands: Promise<unknown> | undefined;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
  }

  /** Items acknowledged so far. */
  get delivered(): number {
    return this.#delivered;
  }

  /** Whether the connection was cut to keep back what was withdrawn while it was being sent. */
  get wasWithdrawn(): boolean {
    return this.#wasWithdrawn;
  }

  /** What the server says, in order of arrival; may come before run(). */
  receive(noun: DownNoun, payload: Uint8Array): void {
    if (noun === 'grant') this.#receiveGrant(payload);
    else if (noun === 'verdict') this.#receiveVerdict(payload);
    else this.#deps.errands.find((errand) => errand.noun === noun)?.receive(payload);
    this.#wake.resolve();
  }

  /**
   * Sends until the connection is lost (resolves with why), or until `stop` is aborted and nothing
   * waits, or an errand asks for a new connection, or `cut` is aborted (resolves with null).
   * Everything in flight is given back.
   */
  async run(
    session: DeviceSession,
    stop: AbortSignal,
    cut: AbortSignal,
  ): Promise<LenscapError | null> {
    const { spool, gate, grantTimeoutMs } = this.#deps;
    this.#session = session;
    const wake = () => this.#wake.resolve();
    const ending = new AbortController();
    const options = { signal: ending.signal };
    stop.addEventListener('abort', wake, options);
    cut.addEventListener('abort', wake, options);
    const stopListening = [
      spool.onChange(wake),
      gate.onChange(() => {
        this.#isHeld = false;
        wake();
      }),
    ];
    const grantTimer = setTimeout(() => {
      if (!this.#isSynced) session.drop(new Error(`no valid grant within ${grantTimeoutMs} ms`));
    }, grantTimeoutMs);
    const lost = session.lost.then((error) => {
      this.#over = error;
      wake();
    });
    try {
      return await this.#work(session, stop, cut, ending.signal);
    } finally {
      clearTimeout(grantTimer);
      clearTimeout(this.#pause);
      ending.abort();
      for (const stopOne of stopListening) stopOne();
      if (cut.aborted) session.drop(new Error('stopped'));
      else await session.close();
      await lost;
      await this.#errands;
      this.#flights.clear();
      spool.giveBackAll();
    }
  }

  async #work(
    session: DeviceSession,
    stop: AbortSignal,
    cut: AbortSignal,
    ending: AbortSignal,
  ): Promise<LenscapError | null> {
    while (!cut.aborted) {
      this.#wake = Promise.withResolvers<void>();
      if (this.#over) return this.#over;
      await this.#fill(session);
      if (this.#isSynced) this.#errands ??= this.#runErrands(session, ending);
      if (this.#flights.size === 0 && (this.#isLeaving || this.#isDone(stop))) return null;
      await this.#wake.promise;
    }
    return null;
  }

  #isDone(stop: AbortSignal): boolean {
    return stop.aborted && this.#deps.spool.held().items === 0;
  }

  #runErrands(session: DeviceSession, signal: AbortSignal): Promise<unknown> {
    const line = {
      publish: session.publish,
      reconnect: () => {
        this.#isLeaving = true;
        this.#wake.resolve();
      },
    };
    return Promise.all(this.#deps.errands.map((errand) => errand.run(line, signal)));
  }

  async #fill(session: DeviceSession): Promise<void> {
    this.#reportEpoch(session);
    while (this.#maySendMore()) {
      const item = this.#deps.spool.next();
      if (item === undefined) return;
      const message = await messageOf(item);
      if (message === undefined) continue;
      if (this.#isAllowed(item)) this.#publish(session, item, message);
    }
  }

  #maySendMore(): boolean {
    const isHindered =
      this.#isHeld || this.#isLeaving || this.#pause !== undefined || this.#over !== undefined;
    return this.#isSynced && !isHindered && this.#flights.size < this.#deps.config.window;
  }

  /** The last look at consent before an item leaves. */
  #isAllowed(item: SpoolItem): boolean {
    const { spool, gate } = this.#deps;
    const captured = capturedIn(item);
    if (gate.maySend(captured)) return true;
    this.#isHeld = gate.mayKeep(captured);
    if (this.#isHeld) spool.giveBack(item.id);
    else spool.retain((held) => gate.mayKeep(held));
    return false;
  }

  #publish(session: DeviceSession, item: SpoolItem, { noun, payload }: Message): void {
    const flight: Flight = { item, retry: null };
    this.#flights.set(item.id, flight);
    this.#deps.log.debug({ noun, bytes: payload.byteLength }, 'sent');
    session
      .publish(noun, payload)
      .then(() => this.#acknowledged(flight))
      // A loss shows as `lost` too, which ends run() and gives everything back.
      .catch((error: unknown) => this.#deps.log.debug({ err: error }, 'not acknowledged'))
      .finally(() => this.#wake.resolve());
  }

  #acknowledged({ item, retry }: Flight): void {
    this.#flights.delete(item.id);
    if (retry !== null) {
      this.#deps.spool.giveBack(item.id);
      this.#pauseFor(item.id, retry);
      return;
    }
    this.#delivered += 1;
    this.#refusals.delete(item.id);
    this.#deps.spool.free(item.id);
  }

  /** The first time a stream is unknown it helps to send it; anything else needs time. */
  #pauseFor(id: number, code: ErrorCode): void {
    const { config, random } = this.#deps;
    const count = (this.#refusals.get(id) ?? 0) + 1;
    this.#refusals.set(id, count);
    const attempt = code === 'STREAM_UNKNOWN' ? count - 2 : count - 1;
    if (attempt < 0 || this.#pause !== undefined) return;
    const waitMs = Math.max(config.backoffMinMs / 2, backoffMs(attempt, config, random));
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.#wake.resolve();
    }, waitMs);
  }

  #reportEpoch(session: DeviceSession): void {
    if (this.#epochToReport === undefined) return;
    const payload = encodeApplied({
      epoch: this.#epochToReport,
      atUs: this.#deps.clock.wallUs(),
    });
    this.#epochToReport = undefined;
    session
      .publish('applied', payload)
      .catch((error: unknown) => this.#deps.log.debug({ err: error }, 'not acknowledged'));
  }

  #receiveGrant(payload: Uint8Array): void {
    const accepted = this.#deps.gate.accept(payload);
    if (accepted.outcome === 'ignored') return;
    this.#isSynced = true;
    if (accepted.outcome === 'applied') this.#epochToReport = accepted.epoch;
    this.#keepBackWithdrawn();
  }

  /** On a slow line the rest of a withdrawn item would still leave, and the report behind it. */
  #keepBackWithdrawn(): void {
    const { gate } = this.#deps;
    const flights = [...this.#flights.values()];
    if (this.#session === undefined || this.#session.unsentBytes() === 0) return;
    if (flights.every(({ item }) => gate.mayKeep(capturedIn(item)))) return;
    this.#wasWithdrawn = true;
    this.#session.drop(new Error('consent was withdrawn for what was being sent'));
  }

  #receiveVerdict(payload: Uint8Array): void {
    const { spool, log } = this.#deps;
    let verdict: Verdict;
    try {
      verdict = decodeVerdict(payload);
    } catch (error) {
      log.warn({ code: toLenscapError(error).code }, 'a verdict that cannot be read is ignored');
      return;
    }
    const { target, code, erase, detail } = verdict;
    log.warn({ target, code, erase, detail }, 'the server refused what was sent');
    if (erase) {
      spool.refuse(target, coverOf(verdict));
      return;
    }
    for (const flight of this.#flights.values())
      if (isSameTarget(targetOf(flight.item), target)) flight.retry = code;
    if (code === 'STREAM_UNKNOWN' && target.kind === 'segment') spool.resendStream(target.streamId);
  }
}
