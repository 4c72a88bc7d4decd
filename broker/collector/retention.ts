// Retention: what the policy promises to erase is erased, judged by when the server took it in.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Consent } from '../consent/consent.ts';
import type { Deletion } from '../store/deletion.ts';
import type { Devices } from '../store/devices.ts';

const INTERVAL_MS = 60 * 60 * 1000;
const DAY_US = 86_400_000_000;

export interface RetentionDeps {
  readonly consent: Consent;
  readonly devices: Devices;
  readonly deletion: Deletion;
  readonly nowUs: () => number;
  readonly log: Logger;
}

export class Retention {
  readonly #deps: RetentionDeps;

  constructor(deps: RetentionDeps) {
    this.#deps = deps;
  }

  /** Erases once an hour until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.expire().catch((err: unknown) =>
        this.#deps.log.error({ err }, 'recordings could not be erased; tried again in an hour'),
      );
      await sleep(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
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
