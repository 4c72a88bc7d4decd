// Entries that are in memory alone, in order. INVARIANT: their size is known, so that it can be bounded.
import type { Entry } from './entry.ts';

/** What an entry takes besides its line, about. */
const HEAD_BYTES = 64;

export class Unwritten {
  #entries: Entry[] = [];
  #bytes = 0;

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Number of the first one; undefined for none. */
  get first(): number | undefined {
    return this.#entries[0]?.number;
  }

  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += sizeOf(entry);
  }

  /** Makes room where there are more than `maxBytes`: half of that stays. Returns the oldest, which went. */
  bound(maxBytes: number): Entry[] {
    if (this.#bytes <= maxBytes) return [];
    let count = 0;
    for (const entry of this.#entries) {
      if (this.#bytes <= maxBytes / 2) break;
      this.#bytes -= sizeOf(entry);
      count += 1;
    }
    return this.#entries.splice(0, count);
  }

  keep(isKept: (entry: Entry) => boolean): void {
    this.#entries = this.#entries.filter(isKept);
    this.#bytes = this.#entries.reduce((sum, entry) => sum + sizeOf(entry), 0);
  }

  /** All have higher numbers by `count`. */
  shift(count: number): void {
    this.#entries = this.#entries.map((entry) => ({ ...entry, number: entry.number + count }));
  }

  clear(): void {
    this.#entries = [];
    this.#bytes = 0;
  }
}

function sizeOf({ line }: Entry): number {
  return line.length + HEAD_BYTES;
}
