// How often each owner gave a label that is none: enough for typing errors, too few to guess. In
// memory, since a label bears 128 bits that nobody guesses; this only keeps the noise down.
import { LenscapError } from '../../proto/errors.ts';

const LIMIT = 5;
const WINDOW_US = 15 * 60_000_000;

export class WrongLabels {
  readonly #times = new Map<string, number[]>();

  /** @throws RATE_LIMITED. */
  check(accountId: string, nowUs: number): void {
    if (this.#recent(accountId, nowUs).length >= LIMIT)
      throw new LenscapError('RATE_LIMITED', 'too many wrong labels; try again in 15 minutes');
  }

  note(accountId: string, nowUs: number): void {
    this.#times.set(accountId, [...this.#recent(accountId, nowUs), nowUs]);
  }

  #recent(accountId: string, nowUs: number): number[] {
    const recent = (this.#times.get(accountId) ?? []).filter((atUs) => atUs > nowUs - WINDOW_US);
    if (recent.length === 0) this.#times.delete(accountId);
    return recent;
  }
}
