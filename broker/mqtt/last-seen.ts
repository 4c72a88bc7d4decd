// When devices were here last. Noted in groups, since thousands come and go at once; best effort, since
// a full disk must not keep a device from hearing that its owner withdrew.
import type { Logger } from 'pino';
import type { Store } from '../store/store.ts';

export interface LastSeenDeps {
  readonly store: Pick<Store, 'inTransaction'>;
  readonly nowUs: () => number;
  readonly log: Logger;
}

const EVERY_MS = 1000;
/** In one transaction, for which everybody else waits. */
const GROUP = 100;

export class LastSeen {
  readonly #deps: LastSeenDeps;
  #noted = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: LastSeenDeps) {
    this.#deps = deps;
  }

  note(deviceId: string): void {
    this.#noted.set(deviceId, this.#deps.nowUs());
    this.#timer ??= setTimeout(() => void this.flush(), EVERY_MS);
  }

  /** Writes what is noted; never rejects. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const noted = [...this.#noted];
    this.#noted = new Map();
    try {
      for (let at = 0; at < noted.length; at += GROUP)
        await this.#write(noted.slice(at, at + GROUP));
    } catch (err) {
      this.#deps.log.error({ err, devices: noted.length }, 'times of connection are not noted');
    }
  }

  #write(group: readonly (readonly [string, number])[]): Promise<void> {
    return this.#deps.store.inTransaction(async ({ devices }) => {
      for (const [deviceId, atUs] of group) await devices.seen(deviceId, atUs);
    });
  }
}
