// Notices silence. Two times: until the first sign of life, and between later ones.

/** A timer that is late because the machine slept lets waiting signs of life in before it barks. */
const SECOND_LOOK_MS = 100;

export class Watchdog {
  readonly #runMs: number;
  readonly #onSilence: (silentMs: number) => void;
  #waitMs: number;
  #touches = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Barks once, with the length of the silence. */
  constructor(startMs: number, runMs: number, onSilence: (silentMs: number) => void) {
    this.#runMs = runMs;
    this.#waitMs = startMs;
    this.#onSilence = onSilence;
    this.#arm();
  }

  /** A sign of life. */
  touch(): void {
    this.#touches += 1;
    if (this.#timer === undefined) return;
    if (this.#waitMs === this.#runMs) {
      this.#timer.refresh();
      return;
    }
    this.#waitMs = this.#runMs;
    this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), this.#waitMs);
  }

  #look(): void {
    const touches = this.#touches;
    this.#timer = setTimeout(() => {
      if (touches === this.#touches) this.#onSilence(this.#waitMs + SECOND_LOOK_MS);
      else if (this.#timer !== undefined) this.#arm();
    }, SECOND_LOOK_MS);
  }
}
