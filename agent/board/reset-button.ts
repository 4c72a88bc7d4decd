// The button that resets the board when it is held.
// INVARIANTS: a hold is answered once, and only when the whole of it was watched; a button that
// vanishes while it is held was not held.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ButtonConfig } from '../../proto/agent-config.ts';
import type { Button } from './button.ts';
import { GPIO_TOOLS, GpioButton, type GpioTools } from './gpio-button.ts';
import { after, type ButtonEvent, dueInMs, type Hold, UNSEEN, UP } from './hold.ts';
import { InputButton } from './input-button.ts';

export interface ResetButtonDeps {
  readonly button: ButtonConfig;
  /** How long it has to be held. */
  readonly holdMs: number;
  readonly log: Logger;
  readonly onReset: () => void | Promise<void>;
  /** Absent: those of the system. */
  readonly gpioTools?: GpioTools;
}

/** A button that could be watched for that long is complained of anew. */
const HEALTHY_MS = 10_000;
const BACKOFF_MS = { least: 1000, most: 30_000 } as const;
/** A timer that is late, such as after a sleep of the machine, lets a waiting release in first. */
const SECOND_LOOK_MS = 250;

export class ResetButton {
  readonly #deps: ResetButtonDeps;
  readonly #button: Button;
  #hold: Hold = UNSEEN;
  #failures = 0;

  constructor(deps: ResetButtonDeps) {
    this.#deps = deps;
    const { button, gpioTools = GPIO_TOOLS } = deps;
    this.#button =
      button.type === 'input' ? new InputButton(button) : new GpioButton(button, gpioTools);
  }

  /** Watches the button until `signal` aborts. Rejects only where `onReset` does. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const reason = await this.#watch(signal);
      if (signal.aborted) return;
      if (reason === 'held') await this.#reset(signal);
      else await this.#rest(reason.why, signal);
    }
  }

  /** Until the button was held for long enough, or cannot be watched. */
  async #watch(signal: AbortSignal): Promise<'held' | { readonly why: string }> {
    const held = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const onEvent = (event: ButtonEvent): void => {
      const next = after(this.#hold, event, performance.now());
      // A key that repeats must not put its own time off.
      if (next === this.#hold) return;
      clearTimeout(timer);
      if (this.#hold.kind === 'unseen' && next.kind === 'done')
        this.#deps.log.warn('the reset button was found pressed: it counts once it was let go');
      this.#hold = next;
      const waitMs = dueInMs(this.#hold, this.#deps.holdMs, performance.now());
      if (waitMs === null) return;
      timer = setTimeout(() => {
        timer = setTimeout(() => held.abort(), SECOND_LOOK_MS);
      }, waitMs);
    };
    const beginMs = performance.now();
    const why = await this.#button.watch(onEvent, AbortSignal.any([signal, held.signal]));
    clearTimeout(timer);
    if (held.signal.aborted) return 'held';
    if (performance.now() - beginMs > HEALTHY_MS) this.#failures = 0;
    this.#hold = after(this.#hold, 'lost', performance.now());
    return { why };
  }

  async #reset(signal: AbortSignal): Promise<void> {
    const { log, holdMs, onReset } = this.#deps;
    const isDown = await this.#button.isDown(signal);
    if (signal.aborted) return;
    if (!isDown) {
      this.#hold = UP;
      log.warn('the button was let go, or cannot be read: the board is not reset');
      return;
    }
    this.#hold = { kind: 'done' };
    log.warn({ holdMs }, 'the button was held: the board is reset');
    await onReset();
  }

  async #rest(why: string, signal: AbortSignal): Promise<void> {
    const { log } = this.#deps;
    const waitMs = Math.min(BACKOFF_MS.most, BACKOFF_MS.least * 2 ** Math.min(this.#failures, 10));
    const level = this.#failures === 0 ? 'warn' : 'debug';
    this.#failures += 1;
    log[level]({ why, waitMs }, 'the reset button cannot be watched');
    await sleep(waitMs, undefined, { signal }).catch(() => undefined);
  }
}
