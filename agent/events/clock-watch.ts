// Tells of the wall clock when it jumps. Invariant: that a clock which was never set comes to show the
// time is no jump, and neither is a slow correction.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, KnownTime } from '../clock.ts';
import type { Events } from './events.ts';

const LOOK_MS = 1000;

export interface ClockWatchDeps {
  readonly clock: Clock;
  readonly time: Pick<KnownTime, 'isWallCredible'>;
  readonly events: Pick<Events, 'moment'>;
  /** What is no jump yet, milliseconds. */
  readonly jumpMs: number;
  /** Absent: a second. */
  readonly lookMs?: number;
}

/** The wall clock against the one that nobody sets. */
export interface Reading {
  readonly aheadUs: number;
  readonly isCredible: boolean;
}

export class ClockWatch {
  readonly #deps: ClockWatchDeps;

  constructor(deps: ClockWatchDeps) {
    this.#deps = deps;
  }

  /** Resolves when `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { events, jumpMs, lookMs = LOOK_MS } = this.#deps;
    let before = this.#read();
    while (!signal.aborted) {
      await sleep(lookMs, undefined, { signal }).catch(() => undefined);
      const now = this.#read();
      const jumpedMs = jumpOf(before, now, jumpMs);
      before = now;
      if (jumpedMs !== 0) events.moment('clock_jumped', { detail: detailOf(jumpedMs) });
    }
  }

  #read(): Reading {
    const { clock, time } = this.#deps;
    return { aheadUs: clock.wallUs() - clock.monoUs(), isCredible: time.isWallCredible() };
  }
}

/** Milliseconds by which it was set forth, or back if negative; 0 for no jump. Pure. */
export function jumpOf(before: Reading, now: Reading, jumpMs: number): number {
  const jumpedMs = Math.round((now.aheadUs - before.aheadUs) / 1000);
  return before.isCredible && Math.abs(jumpedMs) > jumpMs ? jumpedMs : 0;
}

function detailOf(jumpedMs: number): string {
  const way = jumpedMs > 0 ? 'forth' : 'back';
  return `the clock was set ${way} by ${(Math.abs(jumpedMs) / 1000).toFixed(1)} s`;
}
