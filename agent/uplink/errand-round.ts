// The errands of one connection. INVARIANT: what opens the connection is asked for once and first; each
// errand begins once, with the first grant, and has ended when `ended` resolves.
import type { DownNoun } from '../../proto/topics.ts';
import type { Errand, Line, Opening } from './errand.ts';

export class ErrandRound {
  readonly #errands: readonly Errand[];
  #isOpened = false;
  #running: Promise<unknown> | undefined;

  constructor(errands: readonly Errand[]) {
    this.#errands = errands;
  }

  /** Resolves when those that have begun are over. */
  get ended(): Promise<unknown> {
    return this.#running ?? Promise.resolve();
  }

  hear(noun: DownNoun, payload: Uint8Array): void {
    this.#errands.find((errand) => errand.noun === noun)?.receive(payload);
  }

  /** What has to come before anything else; nothing from the second time on. */
  openings(): Opening[] {
    if (this.#isOpened) return [];
    this.#isOpened = true;
    return this.#errands
      .map((errand) => errand.opening?.() ?? null)
      .filter((opening) => opening !== null);
  }

  begin(line: Line, signal: AbortSignal): void {
    this.#running ??= Promise.all(this.#errands.map((errand) => errand.run(line, signal)));
  }

  /** Whether that holds for all that is under way. */
  every(holds: (captured: ReturnType<NonNullable<Errand['underWay']>>) => boolean): boolean {
    return this.#errands.every((errand) => holds(errand.underWay?.() ?? null));
  }
}
