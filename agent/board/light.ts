// The indicator light: shows a state until it is given another one.
// INVARIANT: when show() has resolved, the light has begun to show the state; where the board has a
// light and it cannot be set, show() throws, and a light that fails later is told by `onFailed`.
import type { Logger } from 'pino';
import type { LightConfig } from '../../proto/agent-config.ts';
import { type LenscapError, toLenscapError } from '../../proto/errors.ts';
import { GpioLamp } from './gpio-lamp.ts';
import type { Lamp } from './lamp.ts';
import { LedLamp } from './led-lamp.ts';
import { type LightState, stepsOf } from './light-state.ts';

export interface LightDeps {
  /** Null: the board has none, and the log tells instead. */
  readonly lamp: Lamp | null;
  /** Read at each step. */
  readonly brightnessPercent: () => number;
  readonly log: Logger;
  /** It failed while it showed a state. */
  readonly onFailed: (error: LenscapError) => void;
}

export function lampOf(config: LightConfig | null): Lamp | null {
  if (config === null) return null;
  return config.type === 'led' ? new LedLamp(config.path) : new GpioLamp(config);
}

export class Light {
  readonly #deps: LightDeps;
  #shown: LightState | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** One write after the other: a late step must not undo a new state. */
  #turn: Promise<unknown> = Promise.resolve();
  #round = 0;

  constructor(deps: LightDeps) {
    this.#deps = deps;
  }

  /** @throws LIGHT_FAILED. */
  show(state: LightState): Promise<void> {
    const showing = this.#turn.then(() => this.#show(state));
    this.#turn = showing.catch(() => undefined);
    return showing;
  }

  /** Dark, and let go of. Never rejects. */
  async close(): Promise<void> {
    await this.show('off').catch(() => undefined);
    await this.#deps.lamp?.close();
  }

  async #show(state: LightState): Promise<void> {
    if (this.#shown === state) return;
    const { lamp, log } = this.#deps;
    clearTimeout(this.#timer);
    this.#round += 1;
    this.#shown = null;
    if (lamp !== null) await this.#step(lamp, state, 0);
    this.#shown = state;
    log.info({ light: state }, 'the indicator light');
    if (lamp !== null) this.#goOn(lamp, state, 0, this.#round);
  }

  async #step(lamp: Lamp, state: LightState, at: number): Promise<void> {
    const steps = stepsOf(state, lamp.canDim);
    const share = steps[at % steps.length]?.share ?? 0;
    await lamp.shine((share * this.#deps.brightnessPercent()) / 100);
  }

  #goOn(lamp: Lamp, state: LightState, at: number, round: number): void {
    const steps = stepsOf(state, lamp.canDim);
    const { forMs } = steps[at % steps.length] ?? { forMs: 0 };
    if (forMs === 0) return;
    this.#timer = setTimeout(() => {
      this.#turn = this.#turn.then(async () => {
        if (round !== this.#round) return;
        try {
          await this.#step(lamp, state, at + 1);
          this.#goOn(lamp, state, at + 1, round);
        } catch (error) {
          this.#shown = null;
          this.#deps.onFailed(toLenscapError(error, 'LIGHT_FAILED'));
        }
      });
    }, forMs);
  }
}
