// Retention: what the policy promises to erase is erased, judged by when the server took it in.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { EVENT_KINDS, EVENT_SCOPES } from '../../proto/event.ts';
import type { Scope } from '../../proto/scopes.ts';
import type { Consent } from '../consent/consent.ts';
import type { Deletion } from '../store/deletion.ts';
import type { Devices } from '../store/devices.ts';
import type { LogRows } from '../store/log-rows.ts';
import type { Told } from '../store/told.ts';

const INTERVAL_MS = 60 * 60 * 1000;
/** More than this the wall clock does not gain on the monotonic one, unless it is set. */
const MAX_LEAP_MS = 600_000;
/** A day for somebody to see that the clock is wrong, since what is erased does not come back. */
const HOLD_MS = 24 * INTERVAL_MS;
const DAY_US = 86_400_000_000;

export interface RetentionDeps {
  readonly consent: Consent;
  readonly devices: Devices;
  readonly deletion: Deletion;
  readonly logs: Pick<LogRows, 'expire'>;
  readonly told: Pick<Told, 'expire'>;
  readonly nowUs: () => number;
  readonly log: Logger;
  readonly intervalMs?: number;
}

/** What both clocks said at one moment, milliseconds. */
interface Moment {
  readonly wallMs: number;
  readonly monoMs: number;
}

export class Retention {
  readonly #deps: RetentionDeps;
  #before: Moment;
  /** Monotonic. */
  #heldUntilMs = 0;

  constructor(deps: RetentionDeps) {
    this.#deps = deps;
    this.#before = this.#now();
  }

  /** Erases once an hour until aborted; not for a day after the clock was set ahead. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, intervalMs = INTERVAL_MS } = this.#deps;
    while (!signal.aborted) {
      await this.forget().catch((err: unknown) =>
        log.error({ err }, 'what consent covers no longer is not erased; tried again in an hour'),
      );
      if (this.#isHeld()) log.error('the clock was set ahead: nothing is erased for a day');
      else
        await this.expire().catch((err: unknown) =>
          log.error({ err }, 'recordings could not be erased; tried again in an hour'),
        );
      await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** A clock that runs years ahead by mistake would have all erased. */
  #isHeld(): boolean {
    const now = this.#now();
    const [wallMs, monoMs] = [now.wallMs - this.#before.wallMs, now.monoMs - this.#before.monoMs];
    this.#before = now;
    if (wallMs - monoMs > MAX_LEAP_MS) this.#heldUntilMs = now.monoMs + HOLD_MS;
    return now.monoMs < this.#heldUntilMs;
  }

  #now(): Moment {
    return { wallMs: this.#deps.nowUs() / 1000, monoMs: performance.now() };
  }

  /** Erases what a withdrawal was to erase when something came in between, whatever the time is. */
  async forget(): Promise<void> {
    const { consent, devices } = this.#deps;
    for (const { device_id: deviceId } of await devices.all())
      await consent.forgetUncovered(deviceId);
  }

  /** Erases what is over its time now. */
  async expire(): Promise<void> {
    for (const { device_id: deviceId } of await this.#deps.devices.all()) {
      const erased = await this.#expire(deviceId, this.#deps.nowUs());
      if (Object.values(erased).some((count) => count > 0))
        this.#deps.log.info({ deviceId, ...erased }, 'over their time');
    }
  }

  /** Pictures and sound lie in the same segments; an event is of the scope of its kind. */
  async #expire(deviceId: string, nowUs: number): Promise<Record<string, number>> {
    const { consent, deletion, logs, told } = this.#deps;
    const days = await consent.retention(deviceId);
    const before = (scope: Scope): number => nowUs - days[scope] * DAY_US;
    const recorded = Math.max(before('video'), before('audio'));
    const erased = await deletion.expire(deviceId, recorded, nowUs);
    const snapshots = await deletion.expireSnapshots(deviceId, before('snapshot'), nowUs);
    let events = 0;
    for (const scope of new Set(Object.values(EVENT_SCOPES))) {
      const kinds = EVENT_KINDS.filter((kind) => EVENT_SCOPES[kind] === scope);
      events += await deletion.expireEvents(deviceId, kinds, before(scope), nowUs);
    }
    const logBatches = await logs.expire(deviceId, before('device_log'));
    const tellings = await told.expire(deviceId, before('device_info'));
    return { erased, snapshots, events, logBatches, tellings };
  }
}
