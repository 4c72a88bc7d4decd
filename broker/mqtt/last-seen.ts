// When devices were here last, to the second. Noted in groups, since thousands come and go at once; best
// effort, since a full disk must not keep a device from hearing that its owner withdrew.
import type { Logger } from 'pino';
import type { Store } from '../store/store.ts';

export interface LastSeenDeps {
  readonly store: Pick<Store, 'devices'>;
  readonly nowUs: () => number;
  readonly log: Logger;
}

const EVERY_MS = 1000;
/** In one statement, for which everybody else waits. */
const GROUP = 64;

export class LastSeen {
  readonly #deps: LastSeenDeps;
  #noted = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: LastSeenDeps) {
    this.#deps = deps;
  }

  note(deviceId: string): void {
    this.#noted.add(deviceId);
    this.#timer ??= setTimeout(() => void this.flush(), EVERY_MS);
  }

  /** Writes what is noted; never rejects. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const noted = [...this.#noted];
    this.#noted = new Set();
    try {
      for (let at = 0; at < noted.length; at += GROUP)
        await this.#deps.store.devices.seen(noted.slice(at, at + GROUP), this.#deps.nowUs());
    } catch (err) {
      this.#deps.log.error({ err, devices: noted.length }, 'times of connection are not noted');
    }
  }
}
