// How many lines a minute the journal takes. INVARIANT: within any stretch of time no more than the
// burst and what the time allows; what is over is counted, never queued.

export class LineBudget {
  #left: number;
  #atMs: number;

  /** Full at the beginning: a minute's worth may come at once. */
  constructor(perMinute: number, nowMs: number) {
    this.#left = perMinute;
    this.#atMs = nowMs;
  }

  /** Whether there is room for one more line now; takes it. */
  take(perMinute: number, nowMs: number): boolean {
    const earned = (Math.max(0, nowMs - this.#atMs) / 60_000) * perMinute;
    this.#left = Math.min(perMinute, this.#left + earned);
    this.#atMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
