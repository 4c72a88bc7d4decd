// Whether the settings want pictures now: by the recording mode, and by the schedule's clock.
// INVARIANT: it follows a change of the settings at once, the schedule at its minute, and a step of
// the wall clock within LOOK_MS.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Settings as Values } from '../../proto/settings.ts';
import type { Clock } from '../clock.ts';
import { Schedule } from './schedule.ts';

/** `closed`: the source is not even opened. */
export type RecordingMode = 'continuous' | 'motion' | 'closed';

/** A step of the wall clock is noticed this late at most, unless said otherwise. */
const LOOK_MS = 10_000;

export interface WantedDeps {
  /** Settings in force, and what calls back when they are others. */
  readonly settings: {
    now(): Pick<Values, 'recording' | 'clock'>;
    onChange(listener: () => void): () => void;
  };
  /** The best that is known of the time; where the clock is unset, an estimate at the earliest. */
  readonly clock: Pick<Clock, 'wallUs'>;
  /** Absent: ten seconds. */
  readonly lookMs?: number;
}

export class Wanted {
  readonly #deps: WantedDeps;
  readonly #listeners = new Set<() => void>();
  #schedule: { readonly of: string; readonly schedule: Schedule } | null = null;
  /** Within it nothing changes; found once, as it takes some looking. */
  #next: { readonly schedule: Schedule; readonly fromUs: number; readonly untilUs: number } | null =
    null;
  #told: RecordingMode;

  constructor(deps: WantedDeps) {
    this.#deps = deps;
    this.#told = this.mode();
  }

  /** At this moment. */
  mode(): RecordingMode {
    const { mode } = this.#deps.settings.now().recording;
    if (mode === 'off') return 'closed';
    return this.#hours()?.isOpen(this.#deps.clock.wallUs()) === false ? 'closed' : mode;
  }

  /** Calls back when the mode is another one, while run() runs. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks at the clock and the settings. Resolves when `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#look();
      const changed = new AbortController();
      const stopListening = this.#deps.settings.onChange(() => changed.abort());
      await sleep(this.#waitMs(), undefined, { signal: AbortSignal.any([signal, changed.signal]) })
        .catch(() => undefined)
        .finally(stopListening);
    }
  }

  #look(): void {
    const mode = this.mode();
    if (mode === this.#told) return;
    this.#told = mode;
    for (const listener of [...this.#listeners]) listener();
  }

  #waitMs(): number {
    const { clock, lookMs = LOOK_MS } = this.#deps;
    const schedule = this.#hours();
    if (schedule === null) return lookMs;
    const atUs = clock.wallUs();
    const known = this.#next;
    if (known?.schedule !== schedule || atUs < known.fromUs || atUs >= known.untilUs)
      this.#next = {
        schedule,
        fromUs: atUs,
        untilUs: schedule.nextChange(atUs) ?? Number.POSITIVE_INFINITY,
      };
    const untilUs = this.#next?.untilUs ?? Number.POSITIVE_INFINITY;
    return Math.min(lookMs, Math.max(1, Math.ceil((untilUs - atUs) / 1000)));
  }

  /** Null: always. Made anew only for other settings. */
  #hours(): Schedule | null {
    const { recording, clock } = this.#deps.settings.now();
    if (recording.schedule === null || recording.mode === 'off') return null;
    const of = JSON.stringify([recording.schedule, clock.timeZone]);
    if (this.#schedule?.of !== of)
      this.#schedule = { of, schedule: new Schedule(recording.schedule, clock.timeZone) };
    return this.#schedule.schedule;
  }
}
