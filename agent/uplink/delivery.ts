// What happens on one connection: grants in, items out, verdicts obeyed.
// Invariants: nothing is published before a grant of this very connection was obeyed; at most
// `window` items are unacknowledged; what happens now goes before what waited; an item is freed by
// its PUBACK alone, and a verdict that came before the PUBACK wins over it.

import type { Logger } from 'pino';
import type { AgentConfig } from '../../proto/agent-config.ts';
import { type LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { DownNoun, UpNoun } from '../../proto/topics.ts';
import { decodeVerdict, encodeApplied, type Verdict } from '../../proto/verdict.ts';
import type { Clock } from '../clock.ts';
import type { Captured, Lane, Spool, SpoolItem } from '../spool/spool.ts';
import type { DeviceSession } from './device-session.ts';
import type { Errand } from './errand.ts';
import { ErrandRound } from './errand-round.ts';
import type { LinkFigures } from './figures.ts';
import { type Flight, Flights } from './flights.ts';
import { GrantIntake, type GrantIntakeDeps } from './grant-intake.ts';
import { capturedIn, coverOf, type Message, messageOf, targetOf } from './message.ts';
import { Metering } from './metering.ts';
import { Retries } from './retries.ts';

export interface DeliveryDeps {
  /** Read at each use: it may change at any moment. */
  readonly config: AgentConfig['uplink'];
  readonly spool: Spool;
  readonly gate: GrantIntakeDeps['gate'] & {
    mayKeep(item: Captured): boolean;
    maySend(item: Captured): boolean;
    onChange(listener: () => void): () => void;
  };
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly figures: Pick<LinkFigures, 'noteSent' | 'noteRoundTrip' | 'noteLost'>;
  /** What else is settled over the connection. */
  readonly errands: readonly Errand[];
  /** Longest wait for the first grant of a connection. */
  readonly grantTimeoutMs: number;
}

/**
 * How a connection ended: an error; `again`: another one is wanted at once; `done`: after a stop
 * nothing is left that may be sent, or it was cut.
 */
export type Ending = LenscapError | 'again' | 'done';

export class Delivery {
  readonly #deps: DeliveryDeps;
  readonly #flights: Flights;
  readonly #retries: Retries;
  readonly #metering: Metering;
  readonly #grants: GrantIntake;
  readonly #errands: ErrandRound;
  #wake = Promise.withResolvers<void>();
  /** Something has changed: it is looked again what is to do. */
  readonly #again = (): void => this.#wake.resolve();
  /** The lease ran out: wait for the gate. */
  #isHeld = false;
  #over: LenscapError | undefined;
  #hasSent = false;
  #delivered = 0;
  #session: DeviceSession | undefined;
  #wasWithdrawn = false;
  #isLeaving = false;

  constructor(deps: DeliveryDeps) {
    const { config, random, log, gate, errands } = deps;
    this.#deps = deps;
    this.#errands = new ErrandRound(errands);
    const wake = this.#again;
    this.#grants = new GrantIntake({ gate, onTaken: () => this.#obeyed() });
    this.#retries = new Retries(config, random, wake);
    this.#flights = new Flights({ limits: config, onRested: wake });
    this.#metering = new Metering({ config, log, onFree: () => this.#leave() });
  }

  /** Items acknowledged so far. */
  get delivered(): number {
    return this.#delivered;
  }

  /** Whether items were sent and none of them was acknowledged. */
  get isFruitless(): boolean {
    return this.#hasSent && this.#delivered === 0;
  }

  /** What the server says, in order of arrival; may come before run(). */
  receive(noun: DownNoun, payload: Uint8Array): void {
    if (noun === 'grant') this.#grants.receive(payload);
    else if (noun === 'verdict') this.#receiveVerdict(payload);
    else this.#errands.hear(noun, payload);
    this.#again();
  }

  /** Nothing is unsent any more. */
  drained(): void {
    this.#again();
  }

  /**
   * Sends until the connection is lost, or until `stop` is aborted and nothing waits that may be
   * sent, or an errand asks for a new connection, or `cut` is aborted. Everything in flight is given
   * back.
   */
  async run(session: DeviceSession, stop: AbortSignal, cut: AbortSignal): Promise<Ending> {
    const { spool, gate, grantTimeoutMs } = this.#deps;
    this.#session = session;
    const wake = this.#again;
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
    this.#grants.expect(grantTimeoutMs, () =>
      session.drop(new Error(`no valid grant within ${grantTimeoutMs} ms`)),
    );
    const lost = session.lost.then((error) => {
      this.#over = error;
      wake();
    });
    const metering = this.#metering.run(session, ending.signal);
    try {
      return await this.#work(session, stop, cut, ending.signal);
    } finally {
      this.#grants.end();
      this.#retries.end();
      ending.abort();
      for (const stopOne of stopListening) stopOne();
      if (cut.aborted) session.drop(new Error('stopped'));
      else await session.close();
      await lost;
      await this.#errands.ended;
      await metering;
      this.#flights.end();
      spool.giveBackAll();
    }
  }

  async #work(
    session: DeviceSession,
    stop: AbortSignal,
    cut: AbortSignal,
    ending: AbortSignal,
  ): Promise<Ending> {
    const line = {
      publish: session.publish,
      reconnect: () => this.#leave(),
      isMetered: () => this.#metering.isMetered,
    };
    while (!cut.aborted) {
      this.#wake = Promise.withResolvers<void>();
      if (this.#over) return this.#wasWithdrawn ? 'again' : this.#over;
      await this.#fill(session);
      if (this.#grants.isSynced) this.#errands.begin(line, ending);
      if (this.#flights.size === 0 && this.#isLeaving) return 'again';
      if (this.#flights.size === 0 && this.#isDone(stop)) return 'done';
      await this.#wake.promise;
    }
    return 'done';
  }

  #isDone(stop: AbortSignal): boolean {
    if (!stop.aborted) return false;
    // What else waits has to wait for another network.
    const isSent = this.#metering.isMetered && this.#grants.isSynced && !this.#retries.isPausing;
    return isSent || this.#deps.spool.held().items === 0;
  }

  /** Another connection is wanted as soon as nothing is unacknowledged. */
  #leave(): void {
    this.#isLeaving = true;
    this.#again();
  }

  async #fill(session: DeviceSession): Promise<void> {
    if (!this.#grants.isSynced) return;
    for (const { noun, payload } of this.#errands.openings()) this.#tell(session, noun, payload);
    this.#reportEpoch(session);
    for (;;) {
      const next = this.#next(session);
      if (next === undefined) return;
      const message = await messageOf(next.item);
      if (message === undefined) continue;
      if (this.#isAllowed(next.item)) this.#publish(session, next.item, next.lane, message);
    }
  }

  /** The next item, from now on in flight. */
  #next(session: DeviceSession): { readonly item: SpoolItem; readonly lane: Lane } | undefined {
    const isHindered = this.#isHeld || this.#isLeaving || this.#retries.isPausing;
    if (isHindered || this.#over !== undefined) return undefined;
    const lanes = this.#flights.lanes(this.#metering.isMetered, session.unsentBytes());
    for (const lane of lanes) {
      const item = this.#deps.spool.next(lane);
      if (item !== undefined) return { item, lane };
    }
    return undefined;
  }

  /** The last look at consent before an item leaves. */
  #isAllowed(item: SpoolItem): boolean {
    const { spool, gate } = this.#deps;
    const captured = capturedIn(item);
    if (gate.maySend(captured)) return true;
    this.#isHeld = gate.mayKeep(captured) || !this.#grants.isInForce;
    if (this.#isHeld) spool.giveBack(item.id);
    else spool.retain((held) => gate.mayKeep(held));
    return false;
  }

  #publish(session: DeviceSession, item: SpoolItem, lane: Lane, { noun, payload }: Message): void {
    const flight = this.#flights.begin(item, lane);
    this.#hasSent = true;
    this.#deps.log.debug({ noun, lane, bytes: payload.byteLength }, 'sent');
    session
      .publish(noun, payload)
      .then(() => this.#acknowledged(flight, payload.byteLength))
      // A loss shows as `lost` too, which ends run() and gives everything back.
      .catch((error: unknown) => this.#deps.log.debug({ err: error }, 'not acknowledged'))
      .finally(this.#again);
  }

  #acknowledged(flight: Flight, bytes: number): void {
    const { spool, figures, log } = this.#deps;
    const { item, retry } = flight;
    this.#flights.acknowledged(flight);
    if (retry !== null) {
      spool.giveBack(item.id);
      this.#retries.asked(item.id, retry);
      return;
    }
    this.#delivered += 1;
    if (!flight.isRefused) figures.noteSent(item.kind, bytes);
    this.#retries.settled(item.id);
    log.debug({ target: targetOf(item) }, 'acknowledged');
    spool.free(item.id);
  }

  #reportEpoch(session: DeviceSession): void {
    const epoch = this.#grants.takeEpoch();
    if (epoch === undefined) return;
    this.#tell(session, 'applied', encodeApplied({ epoch, atUs: this.#deps.clock.wallUs() }));
  }

  #tell(session: DeviceSession, noun: UpNoun, payload: Uint8Array): void {
    const sentMs = performance.now();
    session
      .publish(noun, payload)
      .then(() => {
        const tookMs = performance.now() - sentMs;
        this.#flights.noteRoundTrip(tookMs);
        this.#deps.figures.noteRoundTrip(tookMs);
      })
      .catch((error: unknown) => this.#deps.log.debug({ noun, err: error }, 'not acknowledged'));
  }

  /** On a slow line the rest of a withdrawn item would still leave, and the report behind it. */
  #obeyed(): void {
    this.#again();
    const { gate, log } = this.#deps;
    if (this.#session === undefined || this.#session.unsentBytes() === 0) return;
    const mayGo = (captured: Captured | null): boolean => !captured || gate.mayKeep(captured);
    if (this.#flights.every(mayGo) && this.#errands.every(mayGo)) return;
    this.#wasWithdrawn = true;
    log.info('connecting anew, to keep back what was withdrawn while it was being sent');
    this.#session.drop(new Error('consent was withdrawn for what was being sent'));
  }

  #receiveVerdict(payload: Uint8Array): void {
    const { spool, log } = this.#deps;
    const verdict = readVerdict(payload, log);
    if (verdict === null) return;
    const { target, code, erase, detail } = verdict;
    log.warn({ target, code, erase, detail }, 'the server refused what was sent');
    if (erase) {
      this.#flights.refused(target);
      spool.refuse(target, coverOf(verdict));
      return;
    }
    this.#flights.askAgain(target, code);
    if (code === 'STREAM_UNKNOWN' && target.kind === 'segment') spool.resendStream(target.streamId);
  }
}

function readVerdict(payload: Uint8Array, log: Logger): Verdict | null {
  try {
    return decodeVerdict(payload);
  } catch (error) {
    log.warn({ code: toLenscapError(error).code }, 'a verdict that cannot be read is ignored');
    return null;
  }
}
