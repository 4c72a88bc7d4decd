// Tells the service manager that the agent works, as long as it does: pictures that are wanted flow, or
// it is known why they do not. INVARIANT: no sign of life without a look at what really happened since
// the last one; a timer alone never gives one.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Notifier } from './notifier.ts';

/** What is known of the pictures at one moment. */
export interface Progress {
  /**
   * `closed`: none are wanted. `resting`: the source failed, that was told, and it is tried again.
   * `capturing`: they ought to flow.
   */
  readonly kind: 'closed' | 'resting' | 'capturing';
  /** Pictures since that state began. */
  readonly pictures: number;
  /** When that state began, monotonic, microseconds. */
  readonly sinceMonoUs: number;
}

/** Whether the agent does what it is for; `before` is the look before this one. */
export function isAlive(
  before: Progress | null,
  now: Progress,
  nowMonoUs: number,
  startTimeoutMs: number,
): boolean {
  if (now.kind !== 'capturing') return true;
  if (before?.kind !== 'capturing' || before.sinceMonoUs !== now.sinceMonoUs) return true;
  if (now.pictures > before.pictures) return true;
  // A source may take its time until the first picture, but not for ever, and none for the next.
  return now.pictures === 0 && (nowMonoUs - now.sinceMonoUs) / 1000 < startTimeoutMs;
}

export interface WatchdogDeps {
  readonly notifier: Pick<Notifier, 'tell' | 'status'>;
  /** Half of WATCHDOG_USEC; null: the service manager does not ask for it. */
  readonly periodMs: number | null;
  readonly progress: () => Progress;
  /** For `systemctl status`. */
  readonly status: () => string;
  readonly monoUs: () => number;
  readonly startTimeoutMs: number;
  readonly log: Logger;
}

/** Without a watchdog the status is told all the same. */
const STATUS_MS = 10_000;

export class ServiceWatchdog {
  readonly #deps: WatchdogDeps;

  constructor(deps: WatchdogDeps) {
    this.#deps = deps;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { notifier, periodMs, progress, status, monoUs, startTimeoutMs, log } = this.#deps;
    let before: Progress | null = null;
    while (!signal.aborted) {
      const now = progress();
      const isGood = isAlive(before, now, monoUs(), startTimeoutMs);
      before = now;
      await notifier.status(status());
      if (isGood && periodMs !== null) await notifier.tell('WATCHDOG=1');
      if (!isGood) log.error('pictures ought to flow and do not: no sign of life is given');
      await sleep(periodMs ?? STATUS_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
