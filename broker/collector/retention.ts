// Retention: what the policy promises to erase is erased, judged by when the server took it in.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Consent } from '../consent/consent.ts';
import type { Deletion } from '../store/deletion.ts';
import type { Devices } from '../store/devices.ts';

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

  /** Erases what is over its time now; pictures and sound lie in the same segments. */
  async expire(): Promise<void> {
    const nowUs = this.#deps.nowUs();
    for (const { device_id } of await this.#deps.devices.all()) {
      const days = await this.#deps.consent.retentionDays(device_id);
      const erased = await this.#deps.deletion.expire(device_id, nowUs - days * DAY_US, nowUs);
      if (erased > 0) this.#deps.log.info({ deviceId: device_id, erased }, 'over their time');
    }
  }
}
