// Counts of the gate, by label, for its figures.

/** Counts that only grow. */
export class Tally<L extends string> {
  readonly #counts = new Map<L, number>();

  add(label: L): void {
    this.#counts.set(label, (this.#counts.get(label) ?? 0) + 1);
  }

  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}
