// What the flash is known to hold: records, writes under way, and files that count for nothing but are
// still to be unlinked. No I/O. INVARIANT: each file is one of the three, each of the first two is
// counted by its key, and the bytes are those of all.
import { blocksOf } from './contents.ts';
import type { Keyring } from './keys.ts';

export interface Held {
  readonly fileBytes: number;
  /** Set of scopes whose key it needs; null when it cannot be read. */
  readonly set: string | null;
}

/** A write from its call to its end. */
export interface Pending {
  readonly name: string;
  readonly set: string;
  readonly fileBytes: number;
  /** Removed or erased meanwhile. */
  isCancelled: boolean;
  /** Whether its key counts it. */
  isCounted: boolean;
}

export class Inventory {
  readonly #keys: Pick<Keyring, 'count'>;
  readonly #held = new Map<string, Held>();
  readonly #pending = new Set<Pending>();
  /** With their bytes on flash. */
  readonly #strays = new Map<string, number>();
  #usedBytes = 0;

  constructor(keys: Pick<Keyring, 'count'>) {
    this.#keys = keys;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get strays(): readonly string[] {
    return [...this.#strays.keys()];
  }

  held(name: string): Held | undefined {
    return this.#held.get(name);
  }

  /** A record is there, in the place of one of the same name. */
  hold(name: string, held: Held): void {
    this.#release(name);
    this.unlinked(name);
    this.#held.set(name, held);
    this.#usedBytes += blocksOf(held.fileBytes);
    if (held.set !== null) this.#keys.count(held.set, 1);
  }

  begin(name: string, set: string, fileBytes: number): Pending {
    const pending: Pending = { name, set, fileBytes, isCancelled: false, isCounted: false };
    this.#pending.add(pending);
    this.#usedBytes += blocksOf(fileBytes);
    return pending;
  }

  /** From now on a write needs its key. */
  useKey(pending: Pending): void {
    this.#keys.count(pending.set, 1);
    pending.isCounted = true;
  }

  end(pending: Pending): void {
    this.#dropKey(pending);
    if (this.#pending.delete(pending)) this.#usedBytes -= blocksOf(pending.fileBytes);
  }

  /** A file counts for nothing and is to be unlinked; a write that would bring it back is cancelled. */
  forget(names: readonly string[]): void {
    const all = new Set(names);
    for (const name of all) this.stray(name, this.#release(name));
    for (const pending of this.#pending) {
      if (!all.has(pending.name)) continue;
      pending.isCancelled = true;
      this.#dropKey(pending);
    }
  }

  stray(name: string, bytes: number): void {
    if (this.#strays.has(name)) return;
    this.#strays.set(name, bytes);
    this.#usedBytes += bytes;
  }

  unlinked(name: string): void {
    this.#usedBytes -= this.#strays.get(name) ?? 0;
    this.#strays.delete(name);
  }

  /** Returns the bytes on flash that were held. */
  #release(name: string): number {
    const held = this.#held.get(name);
    if (held === undefined) return 0;
    this.#held.delete(name);
    if (held.set !== null) this.#keys.count(held.set, -1);
    const bytes = blocksOf(held.fileBytes);
    this.#usedBytes -= bytes;
    return bytes;
  }

  #dropKey(pending: Pending): void {
    if (pending.isCounted) this.#keys.count(pending.set, -1);
    pending.isCounted = false;
  }
}
