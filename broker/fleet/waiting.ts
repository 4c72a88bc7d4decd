// How soon a board that nobody has claimed yet may ask again: soon while they are few, since its owner
// stands beside it; seldom when a whole batch waits, so that it leaves room for all others to claim.
// In memory, bounded by what is enrolled.

/** Boards that wait, asking in a second; a fifth of what all together may, see claims in SETTINGS.md. */
const PER_S = 10;
const SOONEST_S = 10;
const LATEST_S = 600;
/** Who has not asked for so long has gone. */
const GONE_US = 900e6;

export class Waiting {
  /** When each asked last, the latest last. */
  readonly #askedAtUs = new Map<string, number>();

  /** Notes that a board asked; seconds after which it is to ask again. */
  note(serial: string, nowUs: number): number {
    this.#askedAtUs.delete(serial);
    this.#askedAtUs.set(serial, nowUs);
    for (const [other, atUs] of this.#askedAtUs) {
      if (atUs > nowUs - GONE_US) break;
      this.#askedAtUs.delete(other);
    }
    return Math.min(LATEST_S, Math.max(SOONEST_S, Math.ceil(this.#askedAtUs.size / PER_S)));
  }

  /** It is claimed. */
  forget(serial: string): void {
    this.#askedAtUs.delete(serial);
  }
}
