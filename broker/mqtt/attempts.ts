// How often boards without an identity may ask: counts of the minute that runs, for all together and
// of failures by address (see crowd.ts). Bounded by itself, since a failure needs an attempt.

const MINUTE_MS = 60_000;

export interface AttemptLimits {
  readonly attemptsPerMinute: number;
  readonly failuresPerMinutePerAddress: number;
}

export class Attempts {
  readonly #limits: AttemptLimits;
  readonly #nowMs: () => number;
  readonly #failures = new Map<string, number>();
  #minute = 0;
  #attempts = 0;

  /** `nowMs` is monotonic. */
  constructor(limits: AttemptLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** Notes an attempt; seconds after which to ask again when it is one too many, else 0. */
  begin(address: string): number {
    const waitS = this.#turn();
    if (this.#attempts >= this.#limits.attemptsPerMinute || this.isLimited(address)) return waitS;
    this.#attempts += 1;
    return 0;
  }

  failed(address: string): void {
    this.#turn();
    this.#failures.set(address, (this.#failures.get(address) ?? 0) + 1);
  }

  /** Whether the address has failed too often in this minute. */
  isLimited(address: string): boolean {
    this.#turn();
    return (this.#failures.get(address) ?? 0) >= this.#limits.failuresPerMinutePerAddress;
  }

  /** Begins the minute anew when it is over; seconds until the next one. */
  #turn(): number {
    const nowMs = this.#nowMs();
    const minute = Math.floor(nowMs / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#attempts = 0;
      this.#failures.clear();
    }
    return Math.max(1, Math.ceil(((minute + 1) * MINUTE_MS - nowMs) / 1000));
  }
}
