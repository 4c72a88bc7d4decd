// All that waits, and what becomes of it: kept, moved, given up for a Gap, taken out. INVARIANTS: the
// order is that of arrival; a Gap grows only while it was never sent, since the server may know it
// already; a record on flash goes no sooner than the Gap in its place is there.
import type { ErrorCode } from '../../proto/errors.ts';
import type { Event } from '../../proto/event.ts';
import type { Gap, GapReason } from '../../proto/gap.ts';
import type { Stream } from '../../proto/stream.ts';
import type { Clock } from '../clock.ts';
import { type Entry, EntryList, type Parts } from './entries.ts';
import type { Flash, RecordId } from './flash.ts';
import { type HeldStream, HeldStreams } from './held-streams.ts';
import { continues, gapOver, joined, type Stretch } from './lost-stretch.ts';
import type { Restored, RestoredEntry } from './restore.ts';
import { type Captured, coverOfEvent, type SegmentNote } from './spool.ts';
import { Unsaved } from './unsaved.ts';

export interface HoldingsDeps {
  readonly flash: Pick<Flash, 'remove'>;
  readonly clock: Clock;
  /** Kernel boot id of now, a UUID. */
  readonly bootId: string;
  /** The media of a segment as a message; see SpoolItem. */
  readonly payload: (id: number) => Promise<Uint8Array | undefined>;
}

/** An end of captured time, on both clocks. */
export interface Safe {
  readonly bootId: string;
  readonly endMonoUs: number;
  readonly endAtUs: number;
  readonly epoch: number;
}

export class Holdings {
  readonly entries = new EntryList();
  readonly unsaved = new Unsaved();
  readonly streams: HeldStreams;
  readonly #deps: HoldingsDeps;
  #lastId = 0;
  #lastNumber: number;
  #newest: Safe | undefined;

  /** @param found what an earlier run left. */
  constructor(deps: HoldingsDeps, found: Restored) {
    this.#deps = deps;
    this.#lastNumber = found.lastNumber;
    this.streams = new HeldStreams((held) => {
      if (held.isOnFlash) deps.flash.remove({ number: held.number, kind: 'stream' });
    });
    for (const { number, stream } of found.streams)
      this.streams.restore(number, this.#newId(), stream);
    for (const entry of found.entries) this.#takeOver(entry);
    this.streams.settle();
  }

  /** Where the newest ends that was ever handed in; undefined when nothing was. */
  get newest(): Safe | undefined {
    return this.#newest;
  }

  addStream(stream: Stream): void {
    this.streams.add(this.#newNumber(), this.#newId(), stream);
  }

  addSegment(note: SegmentNote, bootId: string, parts: Parts): Entry {
    const mediaBytes = parts.media.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const memoryBytes = parts.head.byteLength + mediaBytes;
    this.#noteNewest({ ...note, bootId });
    return this.#appendSegment(note, { parts, memoryBytes });
  }

  addGap(gap: Gap): void {
    if (gap.bootId === this.#deps.bootId) this.#noteNewest(gap);
    this.#appendGap(gap, {});
  }

  /** One with the id of another that waits takes its place, also while that one is under way. */
  addEvent(event: Event): void {
    const earlier = this.entries.byEvent(event.eventId);
    if (earlier === undefined) {
      this.#appendEvent(event, {});
      return;
    }
    // What is over stays as it was told.
    if (earlier.item.kind === 'event' && !earlier.item.event.lasts) return;
    this.entries.replace(earlier, { kind: 'event', id: this.#newId(), event });
    Object.assign(earlier, { captured: coverOfEvent(event), isInFlight: false, wasSent: false });
    this.unsaved.changed(earlier);
  }

  streamOf({ item }: Entry): HeldStream | undefined {
    return item.kind === 'segment' ? this.streams.get(item.header.streamId) : undefined;
  }

  /** The entry is on flash as `item`, unless it became something else meanwhile. */
  written(entry: Entry, item: Entry['item'], flashBytes: number): void {
    if (!entry.isGone && entry.item === item) this.unsaved.saved(entry, flashBytes);
  }

  /** Takes an entry out, with its records on flash. */
  remove(entry: Entry): void {
    this.#forget(entry);
    const { flash } = this.#deps;
    const { number, item, covered } = entry;
    if (hasRecord(entry)) flash.remove({ number, kind: item.kind });
    flash.remove(...covered);
  }

  /** Drops all that may not be kept; returns its records on flash, which are to be erased. */
  dropForbidden(mayKeep: (item: Captured) => boolean): RecordId[] {
    const gone: RecordId[] = [];
    for (const entry of this.entries) gone.push(...this.#dropIfForbidden(entry, mayKeep));
    for (const held of [...this.streams]) {
      if (mayKeep(held.item.stream)) continue;
      gone.push({ number: held.number, kind: 'stream' });
      held.isOnFlash = false;
      this.streams.remove(held);
    }
    return gone;
  }

  /**
   * Puts a Gap in the place of a segment, or lengthens the Gap before it. Returns the entry that holds
   * the Gap; undefined for what is no segment.
   */
  giveUp(entry: Entry, reason: GapReason, code: ErrorCode | null): Entry | undefined {
    const { item, captured, flashBytes, number } = entry;
    const previous = mediaBefore(entry);
    if (item.kind !== 'segment') return undefined;
    const bootId = this.streamOf(entry)?.item.stream.bootId ?? this.#deps.bootId;
    const gap = gapOver({ ...item.header, bootId }, reason, code);
    const covered = hasRecord(entry) ? [{ number, kind: item.kind, captured, flashBytes }] : [];
    if (previous?.item.kind === 'gap' && !previous.wasSent && continues(previous.item.gap, gap)) {
      this.#forget(entry);
      const grown = { ...previous.item, gap: joined(previous.item.gap, gap) };
      this.entries.replace(previous, grown);
      previous.covered.push(...covered);
      this.unsaved.changed(previous);
      return previous;
    }
    this.unsaved.emptied(entry);
    this.entries.replace(entry, { kind: 'gap', id: this.#newId(), gap });
    Object.assign(entry, { ...BLANK, captured: ofGap(gap), isInFlight: false });
    this.streams.release(item.header.streamId);
    entry.covered.push(...covered);
    this.unsaved.changed(entry);
    return entry;
  }

  /**
   * The oldest two Gaps that follow each other in one boot become one, to the later's end. Returns the
   * entry that holds it; undefined when there are no two.
   */
  joinOldestGaps(): Entry | undefined {
    let first: Entry | undefined;
    for (const entry of this.entries) {
      const { item, number, captured, flashBytes } = entry;
      if (item.kind !== 'gap' || entry.isInFlight) continue;
      // Between boots there is no order of monotonic times.
      if (first?.item.kind !== 'gap' || first.item.gap.bootId !== item.gap.bootId) {
        first = entry;
        continue;
      }
      // By an id of its own, since the server may know the first one as it was.
      const gap = gapOver(joined(first.item.gap, item.gap), 'spool_full', 'SPOOL_FULL');
      this.entries.replace(first, { kind: 'gap', id: this.#newId(), gap });
      const own = hasRecord(entry) ? [{ number, kind: item.kind, captured, flashBytes }] : [];
      first.covered = [...first.covered, ...entry.covered, ...own];
      first.wasSent = false;
      this.unsaved.changed(first);
      this.#forget(entry);
      return first;
    }
    return undefined;
  }

  #takeOver(found: RestoredEntry): void {
    const { number, flashBytes } = found;
    const place = flashBytes > 0 ? ('flash' as const) : ('stale' as const);
    const arrivedMonoUs = Number.NEGATIVE_INFINITY;
    const common = { number, flashBytes, place, arrivedMonoUs };
    if (found.kind === 'gap') {
      const { gap } = found;
      this.#noteNewest(gap);
      const covered = [...found.covered];
      this.#appendGap(gap, { ...common, covered, wasSent: place === 'flash' });
    } else if (found.kind === 'event')
      this.#appendEvent(found.event, { ...common, wasSent: place === 'flash' });
    else {
      this.#noteNewest({ ...found.note, bootId: found.bootId });
      this.#appendSegment(found.note, common);
    }
  }

  #appendSegment(header: SegmentNote, over: Partial<Entry>): Entry {
    const id = this.#newId();
    const payload = () => this.#deps.payload(id);
    this.streams.use(header.streamId);
    return this.#append({ kind: 'segment', id, header, payload }, header, over);
  }

  #appendGap(gap: Gap, over: Partial<Entry>): Entry {
    return this.#append({ kind: 'gap', id: this.#newId(), gap }, ofGap(gap), over);
  }

  #appendEvent(event: Event, over: Partial<Entry>): Entry {
    return this.#append({ kind: 'event', id: this.#newId(), event }, coverOfEvent(event), over);
  }

  #append(item: Entry['item'], captured: Captured, over: Partial<Entry>): Entry {
    const entry = this.entries.append({
      ...BLANK,
      number: over.number ?? this.#newNumber(),
      covered: [],
      arrivedMonoUs: this.#deps.clock.monoUs(),
      ...over,
      item,
      captured,
    });
    this.unsaved.add(entry);
    return entry;
  }

  #forget(entry: Entry): void {
    this.entries.remove(entry);
    this.unsaved.drop(entry);
    if (entry.item.kind === 'segment') this.streams.release(entry.item.header.streamId);
  }

  #dropIfForbidden(entry: Entry, mayKeep: (item: Captured) => boolean): RecordId[] {
    const { item, number, covered, captured } = entry;
    const stream = this.streamOf(entry)?.item.stream;
    const isOrphan = item.kind === 'segment' && stream === undefined;
    if (!isOrphan && mayKeep(captured) && mayKeep(stream ?? captured))
      return uncovered(entry, mayKeep);
    // Where only sound was withdrawn, the owner is told that the pictures went with it.
    const isTold = !isOrphan && item.kind === 'segment' && mayKeep({ ...captured, ...PICTURES });
    const gap = isTold ? this.giveUp(entry, 'refused', 'CONSENT_MISSING') : undefined;
    if (gap !== undefined) return uncovered(gap, mayKeep);
    const own: RecordId[] = hasRecord(entry) ? [{ number, kind: item.kind }] : [];
    this.#forget(entry);
    return [...covered, ...own];
  }

  #noteNewest({ bootId, startMonoUs, startAtUs, durationUs, epoch }: Stretch): void {
    const endMonoUs = startMonoUs + durationUs;
    if (this.#newest?.bootId === bootId && this.#newest.endMonoUs > endMonoUs) return;
    this.#newest = { bootId, endMonoUs, endAtUs: startAtUs + durationUs, epoch };
  }

  #newId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  #newNumber(): number {
    this.#lastNumber += 1;
    return this.#lastNumber;
  }
}

const BLANK = {
  parts: null,
  memoryBytes: 0,
  flashBytes: 0,
  place: 'stale',
  wasSent: false,
} as const;

/** The segment or Gap before an entry; events lie between them without parting them. */
function mediaBefore({ previous }: Entry): Entry | undefined {
  let before = previous;
  while (before?.item.kind === 'event') before = before.previous;
  return before;
}

const hasRecord = ({ flashBytes, place }: Entry): boolean => flashBytes > 0 || place === 'writing';
/** Takes from an entry what it covers and may not be kept. */
function uncovered(entry: Entry, mayKeep: (item: Captured) => boolean): RecordId[] {
  const gone = entry.covered.filter(({ captured }) => !mayKeep(captured));
  entry.covered = entry.covered.filter((one) => !gone.includes(one));
  return gone;
}

const PICTURES = { scopes: ['video'] } as const;
/** A Gap tells of pictures. */
const ofGap = ({ epoch }: Gap): Captured => ({ epoch, scopes: ['video'] });
