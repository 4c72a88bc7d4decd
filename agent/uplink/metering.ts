// Whether the connection goes over a network that costs by volume, and when there is another one.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { DeviceSession } from './device-session.ts';
import { isMetered } from './network.ts';

/** How often it is looked for a network that does not cost. */
const LOOK_MS = 5000;

export interface MeteringDeps {
  /** Read at each use. */
  readonly config: { readonly meteredInterfaces: readonly string[] };
  readonly log: Logger;
  /** A new connection would go over a network that does not cost. */
  readonly onFree: () => void;
}

export class Metering {
  readonly #deps: MeteringDeps;
  #networkInterface: string | undefined;

  constructor(deps: MeteringDeps) {
    this.#deps = deps;
  }

  get isMetered(): boolean {
    return this.#costs(this.#networkInterface);
  }

  /** Looks at the network of a connection, and for a better one until the signal is aborted. */
  async run(session: DeviceSession, signal: AbortSignal): Promise<void> {
    const { log, onFree } = this.#deps;
    const { networkInterface } = session;
    this.#networkInterface = networkInterface;
    let hasCost = false;
    while (!signal.aborted) {
      if (this.isMetered && !hasCost)
        log.info({ networkInterface }, 'this network costs by volume: recordings wait');
      hasCost ||= this.isMetered;
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted || !hasCost) continue;
      const next = await session.nextInterface();
      if (next === undefined || this.#costs(next)) continue;
      log.info({ networkInterface, next }, 'connecting anew, over the other network');
      onFree();
      return;
    }
  }

  #costs(networkInterface: string | undefined): boolean {
    return (
      networkInterface !== undefined &&
      isMetered(networkInterface, this.#deps.config.meteredInterfaces)
    );
  }
}
