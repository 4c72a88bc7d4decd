// How often the server asked for an item again, and the pause that follows from it.
// Invariant: one pause at a time.
import type { ErrorCode } from '../../proto/errors.ts';
import { type BackoffRange, backoffMs } from './backoff.ts';

export class Retries {
  readonly #range: BackoffRange;
  readonly #random: () => number;
  readonly #onEnd: () => void;
  readonly #counts = new Map<number, number>();
  #pause: NodeJS.Timeout | undefined;

  /** @param onEnd called when a pause is over. */
  constructor(range: BackoffRange, random: () => number, onEnd: () => void) {
    this.#range = range;
    this.#random = random;
    this.#onEnd = onEnd;
  }

  get isPausing(): boolean {
    return this.#pause !== undefined;
  }

  /** The first time a stream is unknown it helps to send it; anything else needs time. */
  asked(id: number, code: ErrorCode): void {
    const count = (this.#counts.get(id) ?? 0) + 1;
    this.#counts.set(id, count);
    const attempt = code === 'STREAM_UNKNOWN' ? count - 2 : count - 1;
    if (attempt < 0 || this.#pause !== undefined) return;
    const waitMs = backoffMs(attempt, this.#range, this.#random);
    this.#pause = setTimeout(
      () => {
        this.#pause = undefined;
        this.#onEnd();
      },
      Math.max(this.#range.backoffMinMs / 2, waitMs),
    );
  }

  /** It was taken in. */
  settled(id: number): void {
    this.#counts.delete(id);
  }

  end(): void {
    clearTimeout(this.#pause);
  }
}
