// Which stretches of time are to be recorded: all of them, or in motion mode those around motion,
// with what came before and after it.
// INVARIANT: what was wanted once stays wanted, but for settings that ask for less since.
import type { Settings as Values } from '../../proto/settings.ts';
import type { Clock } from '../clock.ts';

/** Motion is known this late at most; so much more is kept than the settings ask for. */
const NOTICE_US = 1_000_000;

export interface RollDeps {
  readonly settings: {
    now(): Pick<Values, 'recording'>;
    onChange(listener: () => void): () => void;
  };
  readonly clock: Pick<Clock, 'monoUs'>;
}

interface Motion {
  readonly fromUs: number;
  /** Infinite while it lasts. */
  readonly toUs: number;
}

export class Roll {
  readonly #deps: RollDeps;
  readonly #listeners = new Set<() => void>();
  #motions: readonly Motion[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: RollDeps) {
    this.#deps = deps;
    // They live as long as each other.
    deps.settings.onChange(() => this.#tell());
  }

  /** Something began to move, at a monotonic time that may have passed. */
  begun(monoUs: number): void {
    this.#end(monoUs);
    const stillMatter = this.#motions.filter(({ toUs }) => toUs + this.#afterUs() > this.#keptUs());
    this.#motions = [...stillMatter, { fromUs: monoUs, toUs: Number.POSITIVE_INFINITY }];
    this.#tell();
  }

  /** Nothing moves since then. */
  ended(monoUs: number): void {
    this.#end(monoUs);
    this.#tell();
  }

  /** Whether any of a stretch of monotonic time is to be recorded. */
  isWanted(startMonoUs: number, endMonoUs: number): boolean {
    if (this.#recording().mode !== 'motion') return true;
    const { preRollMs } = this.#recording();
    return this.#motions.some(
      ({ fromUs, toUs }) =>
        endMonoUs > fromUs - preRollMs * 1000 && startMonoUs < toUs + this.#afterUs(),
    );
  }

  /** What ended by this monotonic time will not be wanted any more. */
  keepFromUs(): number {
    return this.#keptUs();
  }

  /** Whether what is captured now is recorded. */
  isRecording(): boolean {
    const nowUs = this.#deps.clock.monoUs();
    return this.isWanted(nowUs, nowUs + 1);
  }

  /** Calls back when other stretches are wanted. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #end(monoUs: number): void {
    this.#motions = this.#motions.map((motion) =>
      Number.isFinite(motion.toUs) ? motion : { ...motion, toUs: Math.max(motion.fromUs, monoUs) },
    );
  }

  /** And again when the recording of what comes after the motion ends. */
  #tell(): void {
    clearTimeout(this.#timer);
    const last = this.#motions.at(-1);
    const nowUs = this.#deps.clock.monoUs();
    if (last !== undefined && Number.isFinite(last.toUs)) {
      const leftMs = Math.ceil((last.toUs + this.#afterUs() - nowUs) / 1000);
      if (leftMs > 0) this.#timer = setTimeout(() => this.#tell(), leftMs).unref();
    }
    for (const listener of [...this.#listeners]) listener();
  }

  #recording(): Values['recording'] {
    return this.#deps.settings.now().recording;
  }

  #afterUs(): number {
    return this.#recording().postRollMs * 1000;
  }

  #keptUs(): number {
    return this.#deps.clock.monoUs() - this.#recording().preRollMs * 1000 - NOTICE_US;
  }
}
