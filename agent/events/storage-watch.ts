// Tells of a storage that fails: while the spool is held in memory only, and once for each run when the
// flash is used up. Invariant: one such event lasts at a time, and ends with the trouble or the agent.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Spool } from '../spool/spool.ts';
import type { Events, Happening } from './events.ts';

/** How often it is looked how much the flash is worn. */
const LOOK_MS = 3_600_000;
const USED_UP_PERCENT = 100;

export interface StorageWatchDeps {
  readonly spool: Pick<Spool, 'health' | 'onChange'>;
  /** Null: not known. Never rejects. */
  readonly wearPercent: () => Promise<number | null>;
  readonly events: Pick<Events, 'begin' | 'moment'>;
}

export class StorageWatch {
  readonly #deps: StorageWatchDeps;
  #isFailing = false;
  #event: Happening | undefined;

  constructor(deps: StorageWatchDeps) {
    this.#deps = deps;
  }

  /** Resolves when `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { spool, wearPercent, events } = this.#deps;
    const stopListening = spool.onChange(() => this.#look());
    this.#look();
    for (let isTold = false; !signal.aborted; ) {
      const percent = isTold ? null : await wearPercent();
      if (percent !== null && percent >= USED_UP_PERCENT) {
        isTold = true;
        const detail = 'the flash has been written as often as it was made for';
        events.moment('storage_failing', { detail });
      }
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
    stopListening();
    this.#event?.end();
  }

  #look(): void {
    const { state, code } = this.#deps.spool.health();
    const isFailing = state === 'memory_only';
    if (isFailing === this.#isFailing) return;
    // Noted before it is told, since an event is itself a change of the spool.
    this.#isFailing = isFailing;
    if (isFailing) {
      const detail = 'what waits is held in memory only, and lost with power';
      this.#event = this.#deps.events.begin('storage_failing', { code, detail });
    } else this.#event?.end();
  }
}
