// Keeps one connection to the server: connects, delivers, waits, connects again.
// Invariant: one connection at a time, and after a stop none.
import { setTimeout as sleep } from 'node:timers/promises';
import { type LenscapError, toLenscapError } from '../../proto/errors.ts';
import { backoffMs } from './backoff.ts';
import { Delivery, type DeliveryDeps, type Ending } from './delivery.ts';
import { type Credentials, type DeviceSessionDeps, openDeviceSession } from './device-session.ts';

/** A connection that held this long was a good one, whatever it delivered. */
const GOOD_AFTER_US = 60_000_000;
/** So many failures in a row are told; the same ones after that only at level debug. */
const TOLD_FAILURES = 3;
/**
 * A box on the way that takes megabytes at once and sends them on slowly makes a line look still:
 * after connections on which nothing was acknowledged the patience doubles, so often at most.
 */
const MOST_DOUBLINGS = 2;

export interface UplinkDeps extends DeliveryDeps {
  readonly credentials: {
    /** With what to connect now; asked before each connection. */
    next(): Credentials;
    /** Whether the server took them. Neither throws. */
    admitted(): void;
    refused(): void;
  };
  readonly instanceId: string;
  readonly time: DeviceSessionDeps['time'];
}

export class Uplink {
  readonly #deps: UplinkDeps;
  #isConnected = false;
  #failures = 0;
  #fruitless = 0;
  #lastCode: string | undefined;
  #server: Credentials['server'] | undefined;

  constructor(deps: UplinkDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves after `signal` is aborted, when all that waits was sent or `drainTimeoutMs` passed;
   * at once when there is nothing to send, or when `giveUp` is aborted.
   */
  async run(signal: AbortSignal, giveUp?: AbortSignal): Promise<void> {
    const cut = new AbortController();
    const onGiveUp = () => cut.abort();
    if (giveUp?.aborted) cut.abort();
    giveUp?.addEventListener('abort', onGiveUp, { once: true });
    const { config, spool } = this.#deps;
    let timer: NodeJS.Timeout | undefined;
    const onStop = () => {
      const hasWork = this.#isConnected || spool.held().items > 0;
      timer = setTimeout(() => cut.abort(), hasWork ? config.drainTimeoutMs : 0);
    };
    if (signal.aborted) onStop();
    else signal.addEventListener('abort', onStop, { once: true });
    try {
      while (!cut.signal.aborted && !(signal.aborted && spool.held().items === 0)) {
        const ending = await this.#connectOnce(signal, cut.signal);
        if (ending === 'done') break;
        if (ending !== 'again') await this.#waitAfter(ending, signal, cut.signal);
      }
      const { items } = spool.held();
      if (items > 0) this.#deps.log.warn({ items }, 'stopped before everything was sent');
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onStop);
      giveUp?.removeEventListener('abort', onGiveUp);
    }
  }

  /** One connection from its start to its end. */
  async #connectOnce(stop: AbortSignal, cut: AbortSignal): Promise<Ending> {
    const { credentials, instanceId, time, config, log, clock } = this.#deps;
    const delivery = new Delivery(this.#deps);
    let startUs = clock.monoUs();
    const identity = credentials.next();
    this.#server = identity.server;
    try {
      const session = await openDeviceSession(
        {
          identity,
          instanceId,
          time,
          keepaliveS: config.keepaliveS,
          connectTimeoutMs: config.connectTimeoutMs,
          ackTimeoutMs: config.ackTimeoutMs * 2 ** Math.min(this.#fruitless, MOST_DOUBLINGS),
          maxKbps: () => config.maxKbps,
          onMessage: (noun, payload) => delivery.receive(noun, payload),
          onDrained: () => delivery.drained(),
        },
        cut,
      );
      startUs = clock.monoUs();
      this.#isConnected = true;
      log.info({ connection: 'up', server: identity.server }, 'connected');
      credentials.admitted();
      return await delivery.run(session, stop, cut);
    } catch (error) {
      if (cut.aborted) return 'done';
      const lost = toLenscapError(error);
      if (lost.code === 'IDENTITY_REFUSED') credentials.refused();
      return lost;
    } finally {
      const isGood = this.#isConnected && clock.monoUs() - startUs >= GOOD_AFTER_US;
      if (delivery.delivered > 0 || isGood) this.#failures = 0;
      if (delivery.delivered > 0) this.#fruitless = 0;
      else if (delivery.isFruitless) this.#fruitless += 1;
    }
  }

  async #waitAfter(error: LenscapError, stop: AbortSignal, cut: AbortSignal): Promise<void> {
    const { config, random } = this.#deps;
    const waitMs = backoffMs(this.#failures, config, random);
    this.#failures += 1;
    this.#tell(error, waitMs);
    if (this.#isConnected) this.#deps.figures.noteLost();
    this.#isConnected = false;
    const isOver = stop.aborted ? cut : AbortSignal.any([stop, cut]);
    await sleep(waitMs, undefined, { signal: isOver }).catch(() => undefined);
  }

  #tell(error: LenscapError, nextAttemptMs: number): void {
    const { log } = this.#deps;
    const isNews =
      this.#isConnected || this.#failures <= TOLD_FAILURES || error.code !== this.#lastCode;
    this.#lastCode = error.code;
    const fields = {
      connection: 'down',
      code: error.code,
      server: this.#server,
      nextAttemptMs,
    };
    const what = this.#isConnected ? 'lost' : 'not connected';
    if (!isNews) log.debug(fields, `${what}: ${error.detail}`);
    else if (error.code === 'IDENTITY_REFUSED') log.error(fields, `${what}: ${error.detail}`);
    else log.warn(fields, `${what}: ${error.detail}`);
  }
}
