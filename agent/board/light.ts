// The indicator light: shows a state until it is given another one.
// INVARIANTS: when show() has resolved, the light was set just now, read back, and has begun to show the
// state or a later one; where the board has a light and it cannot be set, show() throws, and a light
// that fails later is told by `onFailed`. One that failed is tried again until it shows the state.
import type { Logger } from 'pino';
import type { LightConfig } from '../../proto/agent-config.ts';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import { GpioLamp } from './gpio-lamp.ts';
import type { Lamp } from './lamp.ts';
import { LedLamp } from './led-lamp.ts';
import { type LightState, type Step, stepsOf } from './light-state.ts';
import { within } from './within.ts';

const PATIENCE_MS = 5000;
const RETRY_MS = 1000;
/** Found changed so often in a row, it belongs to somebody else, until it stays as it was set for a while. */
const MOST_LOSSES = 3;
const STAY_MS = RETRY_MS / 2;

export interface LightDeps {
  /** Null: the board has none, and the log tells instead. */
  readonly lamp: Lamp | null;
  /** Read at each step. */
  readonly brightnessPercent: () => number;
  readonly log: Logger;
  /** It failed while it showed a state. */
  readonly onFailed: (error: LenscapError) => void;
  /** A lamp that takes longer has failed. Absent: 5 s. */
  readonly patienceMs?: number;
}

export function lampOf(config: LightConfig | null): Lamp | null {
  if (config === null) return null;
  return config.type === 'led' ? new LedLamp(config.path) : new GpioLamp(config);
}

export class Light {
  readonly #deps: LightDeps;
  #state: LightState = 'off';
  /** The step of the state that is shown, or is to be. */
  #at = 0;
  /** What the log said last; null after a failure. */
  #told: LightState | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** One after the other: a late step must not undo a new state. */
  #turn: Promise<unknown> = Promise.resolve();
  /** A state that waits for its turn. A newer one takes its place: what is past is not shown. */
  #waiting: { state: LightState; readonly shown: Promise<void> } | null = null;
  /** The lamp has not answered yet. */
  #isBusy = false;
  /** How often in a row something else had set it, and when that was found out. */
  #losses = 0;
  #lostMs = 0;
  #isClosed = false;

  constructor(deps: LightDeps) {
    this.#deps = deps;
  }

  /** @throws LIGHT_FAILED. */
  show(state: LightState): Promise<void> {
    if (this.#waiting !== null) {
      this.#waiting.state = state;
      return this.#waiting.shown;
    }
    const shown = this.#turn.then(() => this.#begin());
    this.#waiting = { state, shown };
    this.#turn = shown.catch(() => undefined);
    return shown;
  }

  /** Dark, and let go of. Never rejects. */
  async close(): Promise<void> {
    const { lamp, log, patienceMs = PATIENCE_MS } = this.#deps;
    await this.show('off').catch((error: unknown) => {
      const { code, message } = toLenscapError(error, 'LIGHT_FAILED');
      log.error({ code }, `${message}; it is left as it is`);
    });
    this.#isClosed = true;
    clearTimeout(this.#timer);
    if (lamp !== null) await within(patienceMs, lamp.close());
  }

  async #begin(): Promise<void> {
    const state = this.#waiting?.state ?? this.#state;
    this.#waiting = null;
    clearTimeout(this.#timer);
    if (state !== this.#state) this.#at = 0;
    this.#state = state;
    await this.#step();
  }

  /** Shows the step that is due, and looks after it from then on. */
  async #step(): Promise<void> {
    const { lamp, log } = this.#deps;
    let waitMs = RETRY_MS;
    try {
      const { share, forMs } = this.#due(lamp);
      if (lamp !== null) await this.#shine(lamp, share);
      waitMs = forMs;
      if (this.#told !== this.#state) log.info({ light: this.#state }, 'the indicator light');
      this.#told = this.#state;
    } catch (error) {
      this.#told = null;
      throw error;
    } finally {
      if (lamp !== null && !this.#isClosed) this.#later(waitMs);
    }
  }

  #due(lamp: Lamp | null): Step {
    const steps = stepsOf(this.#state, lamp?.canDim ?? false);
    return steps[this.#at % steps.length] ?? { share: 0, forMs: RETRY_MS };
  }

  /** The next step; the same one again where it failed. */
  #later(waitMs: number): void {
    clearTimeout(this.#timer);
    const timer = setTimeout(() => {
      this.#turn = this.#turn.then(() => this.#goOn(timer));
    }, waitMs);
    this.#timer = timer;
  }

  async #goOn(timer: NodeJS.Timeout): Promise<void> {
    // Another state was shown meanwhile.
    if (timer !== this.#timer || this.#isClosed) return;
    const wasShown = this.#told !== null;
    if (wasShown) this.#at += 1;
    try {
      await this.#step();
    } catch (error) {
      if (!wasShown) return;
      const fault = toLenscapError(error, 'LIGHT_FAILED');
      this.#deps.log.error({ code: fault.code }, fault.message);
      this.#deps.onFailed(fault);
    }
  }

  async #shine(lamp: Lamp, share: number): Promise<void> {
    const { brightnessPercent, log, patienceMs = PATIENCE_MS } = this.#deps;
    if (this.#isBusy) throw failed('it does not answer');
    const isContested = this.#losses >= MOST_LOSSES;
    if (isContested && performance.now() - this.#lostMs < STAY_MS) throw failed(CONTESTED);
    this.#isBusy = true;
    const shining = lamp.shine((share * brightnessPercent()) / 100).finally(() => {
      this.#isBusy = false;
    });
    const isKept = await within(patienceMs, shining);
    if (isKept === null) throw failed(`no answer within ${patienceMs} ms`);
    this.#losses = isKept ? 0 : this.#losses + 1;
    if (isKept) return;
    this.#lostMs = performance.now();
    if (this.#losses === 1) log.warn('something else had set the indicator light');
    if (this.#losses >= MOST_LOSSES) throw failed(CONTESTED);
  }
}

const CONTESTED = 'something else keeps setting it';
const failed = (why: string): LenscapError => new LenscapError('LIGHT_FAILED', why);
