// What waits, in order: a list of which the middle can be taken out. INVARIANT: numbers only grow
// along the list, and an entry that was taken out says so.
import type { RecordId } from './record.ts';
import type { Captured, SpoolItem } from './spool.ts';

export type Waiting = Exclude<SpoolItem, { kind: 'stream' }>;

/** A record on flash that goes as soon as the Gap in its place is on flash. */
export interface Covered extends RecordId {
  readonly captured: Captured;
  readonly flashBytes: number;
}

/** The parts of a Segment message. */
export interface Parts {
  readonly head: Uint8Array;
  readonly media: readonly Uint8Array[];
}

export interface Entry {
  /** Its place in the order, and the number of its record on flash; kept over restarts. */
  readonly number: number;
  item: Waiting;
  captured: Captured;
  /** Of a segment in memory; null for a Gap, and once it is on flash. */
  parts: Parts | null;
  memoryBytes: number;
  /** Taken by its own record; 0 while there is none. */
  flashBytes: number;
  /** `stale`: not on flash as it is now. */
  place: 'stale' | 'writing' | 'flash';
  covered: Covered[];
  readonly arrivedMonoUs: number;
  isInFlight: boolean;
  /** The server may know it. */
  wasSent: boolean;
  isGone: boolean;
  previous: Entry | undefined;
  next: Entry | undefined;
}

export class EntryList {
  readonly #byItem = new Map<number, Entry>();
  #first: Entry | undefined;
  #last: Entry | undefined;
  /** By the id of the event. */
  readonly #events = new Map<string, Entry>();

  /** How many events there are. */
  get events(): number {
    return this.#events.size;
  }

  get first(): Entry | undefined {
    return this.#first;
  }

  get last(): Entry | undefined {
    return this.#last;
  }

  get size(): number {
    return this.#byItem.size;
  }

  append(made: Omit<Entry, 'isInFlight' | 'isGone' | 'previous' | 'next'>): Entry {
    const entry: Entry = {
      ...made,
      isInFlight: false,
      isGone: false,
      previous: this.#last,
      next: undefined,
    };
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
    this.#note(entry);
    return entry;
  }

  remove(entry: Entry): void {
    if (entry.isGone) return;
    entry.isGone = true;
    this.#byItem.delete(entry.item.id);
    if (entry.item.kind === 'event') this.#events.delete(entry.item.event.eventId);
    if (entry.previous === undefined) this.#first = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === undefined) this.#last = entry.previous;
    else entry.next.previous = entry.previous;
  }

  /** Another item in the same place. */
  replace(entry: Entry, item: Waiting): void {
    this.#byItem.delete(entry.item.id);
    entry.item = item;
    this.#note(entry);
  }

  byEvent(eventId: string): Entry | undefined {
    return this.#events.get(eventId);
  }

  byItem(id: number): Entry | undefined {
    return this.#byItem.get(id);
  }

  #note(entry: Entry): void {
    this.#byItem.set(entry.item.id, entry);
    if (entry.item.kind === 'event') this.#events.set(entry.item.event.eventId, entry);
  }

  /** From the first on; the entry in hand may be removed or replaced. */
  *[Symbol.iterator](): Generator<Entry, void> {
    for (let entry = this.#first; entry !== undefined; ) {
      const { next } = entry;
      yield entry;
      entry = next;
    }
  }
}
