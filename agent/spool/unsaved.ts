// What waits and is not on flash as it is now, or is being written, and the memory that it takes.
// INVARIANT: the bytes counted are those of the entries that were added and neither saved nor dropped.
import type { Entry } from './entries.ts';

export class Unsaved {
  readonly #entries = new Set<Entry>();
  #bytes = 0;

  /** Bytes of media in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  get isAny(): boolean {
    return this.#entries.size > 0;
  }

  /** The oldest first. */
  get inOrder(): readonly Entry[] {
    return [...this.#entries].sort((one, other) => one.number - other.number);
  }

  /** The oldest of them that `isMeant` says. */
  oldest(isMeant: (item: Entry['item']) => boolean): Entry | undefined {
    let oldest: Entry | undefined;
    for (const entry of this.#entries)
      if (isMeant(entry.item) && entry.number < (oldest?.number ?? Number.POSITIVE_INFINITY))
        oldest = entry;
    return oldest;
  }

  /** A new entry; one that an earlier run left on flash takes no part. */
  add(entry: Entry): void {
    this.#bytes += entry.memoryBytes;
    if (entry.place === 'stale') this.#entries.add(entry);
  }

  /** It is another one now than on flash. */
  changed(entry: Entry): void {
    // A write under way ends by itself, and has to be known until then.
    if (entry.place !== 'writing') entry.place = 'stale';
    this.#entries.add(entry);
  }

  /** It is on flash. */
  saved(entry: Entry, flashBytes: number): void {
    this.emptied(entry);
    this.#entries.delete(entry);
    Object.assign(entry, { place: 'flash', flashBytes, parts: null });
  }

  /** Its media are not in memory any more. */
  emptied(entry: Entry): void {
    this.#bytes -= entry.memoryBytes;
    entry.memoryBytes = 0;
  }

  /** It does not wait any more. */
  drop(entry: Entry): void {
    this.emptied(entry);
    this.#entries.delete(entry);
  }
}
