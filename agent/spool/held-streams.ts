// The streams of what waits. INVARIANT: a stream is kept while it is the newest one or something of
// it waits, so that a server that does not know it can have it (again).
import type { ErrorCode } from '../../proto/errors.ts';
import type { Stream } from '../../proto/stream.ts';
import type { SpoolItem } from './spool.ts';

export interface HeldStream {
  /** Number of its record on flash. */
  readonly number: number;
  readonly item: Extract<SpoolItem, { kind: 'stream' }>;
  state: 'queued' | 'in_flight' | 'stored' | 'refused';
  /** Segments of it that wait. */
  segments: number;
  /** When refused: the code for the Gaps in place of its segments, null for none. */
  cover: ErrorCode | null;
  isOnFlash: boolean;
  isGone: boolean;
}

export class HeldStreams {
  readonly #byId = new Map<string, HeldStream>();
  readonly #onGone: (held: HeldStream) => void;
  #newest: string | undefined;

  /** `onGone` is told of each stream that is not needed any more. */
  constructor(onGone: (held: HeldStream) => void) {
    this.#onGone = onGone;
  }

  /** A new one; the one before it is kept only for what waits of it. */
  add(number: number, id: number, stream: Stream): void {
    const before = this.#newest;
    this.#newest = stream.streamId;
    this.#hold(number, id, stream, false);
    if (before !== undefined) this.#dropUnused(before);
  }

  /** One that an earlier run left, kept at least until settle(). */
  restore(number: number, id: number, stream: Stream): void {
    this.#hold(number, id, stream, true);
  }

  get(streamId: string): HeldStream | undefined {
    return this.#byId.get(streamId);
  }

  /** By its id as an item. */
  byItem(id: number): HeldStream | undefined {
    for (const held of this.#byId.values()) if (held.item.id === id) return held;
    return undefined;
  }

  [Symbol.iterator](): IterableIterator<HeldStream> {
    return this.#byId.values();
  }

  /** One more segment of it waits. */
  use(streamId: string): void {
    const held = this.#byId.get(streamId);
    if (held !== undefined) held.segments += 1;
  }

  /** One segment of it waits no more. */
  release(streamId: string): void {
    const held = this.#byId.get(streamId);
    if (held === undefined) return;
    held.segments -= 1;
    this.#dropUnused(streamId);
  }

  /** All that an earlier run left is known: its streams without segments go. */
  settle(): void {
    for (const streamId of [...this.#byId.keys()]) this.#dropUnused(streamId);
  }

  /** Forgets a stream, needed or not. */
  remove({ item }: HeldStream): void {
    const { streamId } = item.stream;
    const held = this.#byId.get(streamId);
    if (held === undefined) return;
    this.#byId.delete(streamId);
    if (this.#newest === streamId) this.#newest = undefined;
    held.isGone = true;
    this.#onGone(held);
  }

  #hold(number: number, id: number, stream: Stream, isOnFlash: boolean): void {
    this.#byId.set(stream.streamId, {
      number,
      item: { kind: 'stream', id, stream },
      state: 'queued',
      segments: 0,
      cover: null,
      isOnFlash,
      isGone: false,
    });
  }

  #dropUnused(streamId: string): void {
    const held = this.#byId.get(streamId);
    if (held === undefined || held.segments > 0 || streamId === this.#newest) return;
    if (held.state !== 'in_flight') this.remove(held);
  }

  /** An acknowledgement, or the loss of one. */
  setState(held: HeldStream, state: HeldStream['state']): void {
    held.state = state;
    this.#dropUnused(held.item.stream.streamId);
  }
}
