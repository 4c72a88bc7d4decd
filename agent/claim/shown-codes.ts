// Which of the codes that were held before the lens is offered next. Pure but for its memory.
// INVARIANT: its memory is bounded, whatever is held before the lens.
import type { Answer } from './source.ts';

/** A code that was refused is passed over for that long. */
const REFUSED_MS = 60_000;
const RETRY_MS = 5000;
/** So long lives a setup code: whoever held it up need not do it again while the network comes up. */
const KEPT_MS = 15 * 60_000;
const MAX_CODES = 32;

interface Shown {
  readonly seenAtMs: number;
  readonly dueAtMs: number;
  readonly isRefused: boolean;
}

export class ShownCodes {
  readonly #codes = new Map<string, Shown>();

  /** A code can be seen. */
  saw(code: string, nowMs: number): void {
    const before = this.#codes.get(code);
    const isNew = before === undefined || (before.isRefused && before.dueAtMs <= nowMs);
    this.#codes.delete(code);
    this.#codes.set(
      code,
      isNew
        ? { seenAtMs: nowMs, dueAtMs: nowMs, isRefused: false }
        : { ...before, seenAtMs: nowMs },
    );
    for (const [oldest] of this.#codes) {
      if (this.#codes.size <= MAX_CODES) return;
      this.#codes.delete(oldest);
    }
  }

  /** What became of a code that was offered. */
  answered(code: string, answer: Exclude<Answer, 'claimed'>, nowMs: number): void {
    const shown = this.#codes.get(code);
    if (shown === undefined) return;
    const isRefused = answer === 'refused';
    const dueAtMs = nowMs + (isRefused ? REFUSED_MS : RETRY_MS);
    this.#codes.set(code, { ...shown, dueAtMs, isRefused });
  }

  /** The code to offer now, or how long to wait for one unless another is seen; null: for ever. */
  next(nowMs: number): { readonly code: string } | { readonly waitMs: number | null } {
    let waitMs: number | null = null;
    for (const [code, { seenAtMs, dueAtMs, isRefused }] of this.#codes) {
      if (isRefused) continue;
      if (nowMs - seenAtMs > KEPT_MS) this.#codes.delete(code);
      else if (dueAtMs <= nowMs) return { code };
      else waitMs = Math.min(waitMs ?? Number.POSITIVE_INFINITY, dueAtMs - nowMs);
    }
    return { waitMs };
  }
}
