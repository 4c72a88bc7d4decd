// The spool in memory, bounded in bytes. Invariants: order is the order of arrival; what is in
// flight is never given up for room; a Gap grows only while it was never sent, since the server may
// know it already; a segment is handed out only after its stream was acknowledged.
import type { ErrorCode } from '../../proto/errors.ts';
import type { Gap, GapReason } from '../../proto/gap.ts';
import type { SegmentHeader } from '../../proto/segment.ts';
import type { Stream } from '../../proto/stream.ts';
import type { Target } from '../../proto/verdict.ts';
import { continues, gapOver, joined } from './lost-stretch.ts';
import type { Captured, Spool, SpoolItem } from './spool.ts';

/** What an item is taken to cost beside its media, so that small ones are bounded too. */
const ITEM_BYTES = 512;
const GAP_BYTES = 256;

interface Entry {
  readonly item: SpoolItem;
  readonly bytes: number;
  isInFlight: boolean;
  wasSent: boolean;
}

interface HeldStream {
  readonly item: Extract<SpoolItem, { kind: 'stream' }>;
  state: 'queued' | 'in_flight' | 'stored' | 'refused';
  /** Segments of it that are here. */
  segments: number;
  /** When refused: the code for the Gaps in place of its segments, null for none. */
  cover: ErrorCode | null;
}

export interface MemorySpoolDeps {
  readonly maxBytes: number;
  /** Called once per stretch that begins to be given up for want of room. */
  readonly onOverflow: () => void;
}

export class MemorySpool implements Spool {
  readonly #deps: MemorySpoolDeps;
  readonly #streams = new Map<string, HeldStream>();
  readonly #listeners = new Set<() => void>();
  #entries: Entry[] = [];
  #currentStreamId: string | undefined;
  #bytes = 0;
  #lastId = 0;

  constructor(deps: MemorySpoolDeps) {
    this.#deps = deps;
  }

  stream(stream: Stream): void {
    const item = { kind: 'stream', id: this.#newId(), stream } as const;
    const before = this.#currentStreamId;
    this.#currentStreamId = stream.streamId;
    this.#streams.set(stream.streamId, { item, state: 'queued', segments: 0, cover: null });
    if (before !== undefined) this.#dropUnused(before);
    this.#append(item, stream.init.byteLength + ITEM_BYTES);
  }

  segment(header: SegmentHeader, chunks: readonly Uint8Array[]): void {
    const held = this.#streams.get(header.streamId);
    if (held === undefined || (held.state === 'refused' && held.cover === null)) return;
    const id = this.#newId();
    const media = async () => (this.#entry(id) === undefined ? undefined : chunks);
    const bytes = chunks.reduce((sum, { byteLength }) => sum + byteLength, ITEM_BYTES);
    held.segments += 1;
    this.#append({ kind: 'segment', id, header, media }, bytes);
    if (held.state === 'refused' && held.cover !== null)
      this.#giveUp(this.#entries.length - 1, 'refused', held.cover);
  }

  gap(gap: Gap): void {
    this.#append({ kind: 'gap', id: this.#newId(), gap }, GAP_BYTES);
  }

  next(): SpoolItem | undefined {
    const entry = this.#entries.find(({ isInFlight }) => !isInFlight);
    if (entry === undefined) return undefined;
    const { item } = entry;
    const held = item.kind === 'gap' ? undefined : this.#streams.get(streamIdOf(item));
    if (item.kind === 'segment' && held !== undefined && held.state !== 'stored') {
      if (held.state === 'in_flight') return undefined;
      held.state = 'in_flight';
      return held.item;
    }
    if (item.kind === 'stream' && held !== undefined) held.state = 'in_flight';
    entry.isInFlight = true;
    entry.wasSent = true;
    return item;
  }

  free(id: number): void {
    const index = this.#entries.findIndex(({ item }) => item.id === id);
    if (index >= 0) this.#remove(index);
    for (const [streamId, held] of this.#streams) {
      if (held.item.id !== id || held.state !== 'in_flight') continue;
      held.state = 'stored';
      this.#dropUnused(streamId);
    }
    this.#notify();
  }

  giveBack(id: number): void {
    const entry = this.#entry(id);
    if (entry !== undefined) entry.isInFlight = false;
    for (const held of this.#streams.values())
      if (held.item.id === id && held.state === 'in_flight') held.state = 'queued';
    this.#makeRoom();
    this.#notify();
  }

  giveBackAll(): void {
    for (const entry of this.#entries) entry.isInFlight = false;
    for (const held of this.#streams.values())
      if (held.state === 'in_flight') held.state = 'queued';
    this.#makeRoom();
    this.#notify();
  }

  resendStream(streamId: string): void {
    const held = this.#streams.get(streamId);
    if (held?.state === 'stored') held.state = 'queued';
    this.#notify();
  }

  refuse(target: Target, cover: ErrorCode | null): void {
    const index = this.#entries.findIndex(({ item }) => isTarget(item, target));
    if (target.kind === 'stream') this.#refuseStream(target.streamId, cover);
    else if (index >= 0 && target.kind === 'segment' && cover !== null)
      this.#giveUp(index, 'refused', cover);
    else if (index >= 0) this.#remove(index);
    this.#notify();
  }

  retain(mayKeep: (item: Captured) => boolean): void {
    for (const [streamId, { item }] of this.#streams)
      if (!mayKeep(item.stream)) {
        this.#streams.delete(streamId);
        if (this.#currentStreamId === streamId) this.#currentStreamId = undefined;
      }
    this.#entries = this.#entries.filter(({ item }) => {
      const isOrphan = item.kind !== 'gap' && !this.#streams.has(streamIdOf(item));
      return !isOrphan && mayKeep(capturedIn(item));
    });
    this.#bytes = this.#entries.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const held of this.#streams.values()) held.segments = 0;
    for (const { item } of this.#entries) {
      const held = item.kind === 'segment' ? this.#streams.get(item.header.streamId) : undefined;
      if (held !== undefined) held.segments += 1;
    }
    this.#notify();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  held(): { readonly items: number; readonly bytes: number } {
    return { items: this.#entries.length, bytes: this.#bytes };
  }

  #newId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #entry(id: number): Entry | undefined {
    return this.#entries.find(({ item }) => item.id === id);
  }

  #append(item: SpoolItem, bytes: number): void {
    this.#entries.push({ item, bytes, isInFlight: false, wasSent: false });
    this.#bytes += bytes;
    this.#makeRoom();
    this.#notify();
  }

  #remove(index: number): void {
    for (const { item, bytes } of this.#entries.splice(index, 1)) {
      this.#bytes -= bytes;
      if (item.kind === 'segment') this.#dropSegment(item.header.streamId);
    }
  }

  #dropSegment(streamId: string): void {
    const held = this.#streams.get(streamId);
    if (held === undefined) return;
    held.segments -= 1;
    this.#dropUnused(streamId);
  }

  /** Forgets a stream that is neither the last one nor needed by a segment. */
  #dropUnused(streamId: string): void {
    const held = this.#streams.get(streamId);
    if (held === undefined || held.segments > 0 || streamId === this.#currentStreamId) return;
    if (held.state === 'in_flight') return;
    this.#streams.delete(streamId);
    const index = this.#entries.findIndex(({ item }) => item.id === held.item.id);
    if (index >= 0) this.#remove(index);
  }

  #refuseStream(streamId: string, cover: ErrorCode | null): void {
    const held = this.#streams.get(streamId);
    if (held === undefined) return;
    held.state = 'refused';
    held.cover = cover;
    for (let index = this.#entries.length - 1; index >= 0; index -= 1) {
      const item = this.#entries[index]?.item;
      if (item?.kind === 'stream' && item.id === held.item.id) this.#remove(index);
    }
    for (let index = this.#indexOfSegment(streamId); index >= 0; ) {
      if (cover === null) this.#remove(index);
      else this.#giveUp(index, 'refused', cover);
      index = this.#indexOfSegment(streamId);
    }
    this.#dropUnused(streamId);
  }

  #indexOfSegment(streamId: string): number {
    return this.#entries.findIndex(
      ({ item }) => item.kind === 'segment' && item.header.streamId === streamId,
    );
  }

  #makeRoom(): void {
    while (this.#bytes > this.#deps.maxBytes) {
      const oldest = this.#entries.findIndex(
        ({ item, isInFlight }) => item.kind === 'segment' && !isInFlight,
      );
      if (oldest >= 0) {
        if (this.#giveUp(oldest, 'queue_full', 'QUEUE_FULL')) this.#deps.onOverflow();
      } else if (!this.#joinOldestGaps()) return;
    }
  }

  /** Puts a Gap in the place of a segment. Returns whether a new stretch begins with it. */
  #giveUp(index: number, reason: GapReason, code: ErrorCode): boolean {
    const item = this.#entries[index]?.item;
    if (item?.kind !== 'segment') return false;
    const { bootId } = this.#streams.get(item.header.streamId)?.item.stream ?? { bootId: '' };
    const gap = gapOver(item.header, bootId, reason, code);
    const before = this.#entries[index - 1];
    const grown = before?.item.kind === 'gap' && !before.wasSent ? before.item : undefined;
    if (grown !== undefined && continues(grown.gap, gap)) {
      this.#replace(index - 1, { ...grown, gap: joined(grown.gap, gap) });
      this.#remove(index);
      return false;
    }
    this.#replace(index, { kind: 'gap', id: this.#newId(), gap });
    this.#dropSegment(item.header.streamId);
    return true;
  }

  #replace(index: number, item: SpoolItem): void {
    const before = this.#entries[index];
    if (before === undefined) return;
    this.#bytes += GAP_BYTES - before.bytes;
    this.#entries[index] = { item, bytes: GAP_BYTES, isInFlight: false, wasSent: false };
  }

  /** With nothing but Gaps left to give, the oldest two become one. */
  #joinOldestGaps(): boolean {
    const first = this.#entries.findIndex(({ item, wasSent }) => item.kind === 'gap' && !wasSent);
    const second = this.#entries.findIndex(
      ({ item, wasSent }, index) => index > first && item.kind === 'gap' && !wasSent,
    );
    const one = this.#entries[first]?.item;
    const other = this.#entries[second]?.item;
    if (one?.kind !== 'gap' || other?.kind !== 'gap') return false;
    const gap: Gap = { ...joined(one.gap, other.gap), reason: 'queue_full', code: 'QUEUE_FULL' };
    this.#replace(first, { ...one, gap });
    this.#remove(second);
    return true;
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function streamIdOf(item: Exclude<SpoolItem, { kind: 'gap' }>): string {
  return item.kind === 'stream' ? item.stream.streamId : item.header.streamId;
}

function capturedIn(item: SpoolItem): Captured {
  if (item.kind === 'stream') return item.stream;
  if (item.kind === 'segment') return item.header;
  return { epoch: item.gap.epoch, scopes: ['video'] };
}

function isTarget(item: SpoolItem, target: Target): boolean {
  if (target.kind === 'gap') return item.kind === 'gap' && item.gap.gapId === target.gapId;
  if (target.kind === 'stream' || item.kind !== 'segment')
    return (
      item.kind === 'stream' && target.kind === 'stream' && streamIdOf(item) === target.streamId
    );
  const { streamId, sequence } = item.header;
  return streamId === target.streamId && sequence === target.sequence;
}
