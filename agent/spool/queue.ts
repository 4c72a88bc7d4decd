// The spool as capture and uplink see it: what goes next, what comes back.
// Invariant: a segment is handed out only after its stream was acknowledged.
import { type ErrorCode, toLenscapError } from '../../proto/errors.ts';
import type { Event } from '../../proto/event.ts';
import type { Gap } from '../../proto/gap.ts';
import type { SpoolHealth } from '../../proto/health.ts';
import { encodeSegmentHead, joinSegment, type SegmentHeader } from '../../proto/segment.ts';
import type { Stream } from '../../proto/stream.ts';
import type { Target } from '../../proto/verdict.ts';
import { Bounds } from './bounds.ts';
import type { Entry } from './entries.ts';
import { Flusher, type FlusherDeps } from './flusher.ts';
import { Holdings, type Safe } from './holdings.ts';
import type { Stretch } from './lost-stretch.ts';
import { type Opened, restored } from './restore.ts';
import { SafeMark } from './safe-mark.ts';
import type { Captured, Lane, SegmentNote, Spool, SpoolItem } from './spool.ts';

export interface SpoolQueueDeps
  extends Omit<FlusherDeps, 'holdings' | 'fault' | 'onMoved' | 'onHealth'> {
  /** What the flash held when it was opened. */
  readonly opened: Opened;
  /** Length of a segment, where nothing tells it. */
  readonly usualUs: number;
  /** Where the captured time of an earlier run ended, if that is known. */
  readonly mark: Safe | null;
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  /** A wall time that has passed for certain. */
  readonly floorUs: () => number;
  /** Erases the folder on flash, unread. */
  readonly eraseUnread: () => void;
  /** Told up to where all that was captured in this boot is acknowledged or on flash. */
  readonly onSafe: (safe: Safe) => void;
}

export class SpoolQueue implements Spool {
  /** Where what an earlier run left ends; null when it left nothing. */
  readonly lastEnd: Safe | null;
  readonly #deps: SpoolQueueDeps;
  readonly #holdings: Holdings;
  readonly #flusher: Flusher;
  readonly #bounds: Bounds;
  readonly #safe: SafeMark;
  readonly #listeners = new Set<() => void>();

  /** Takes over what an earlier run left on flash. */
  constructor(deps: SpoolQueueDeps) {
    this.#deps = deps;
    const { opened, usualUs, mark, flash } = deps;
    const found = restored(opened, usualUs, mark && endOf(mark));
    const payload = (id: number) => this.#payload(id);
    this.#holdings = new Holdings({ ...deps, payload }, found);
    this.#safe = new SafeMark({ ...deps, holdings: this.#holdings });
    this.lastEnd = this.#holdings.newest ?? null;
    flash.remove(...found.useless);
    this.#tellRestored();
    this.#flusher = new Flusher({
      ...deps,
      fault: opened.fault,
      holdings: this.#holdings,
      onMoved: () => this.#safe.tell(),
      onHealth: () => this.#notify(),
    });
    const onFull = () => this.#flusher.tellFull();
    this.#bounds = new Bounds({ ...deps, holdings: this.#holdings, onFull });
  }

  /** Moves what waits to flash when it is time to; from `stop` on at once, until `end`. */
  run(stop: AbortSignal, end: AbortSignal): Promise<void> {
    return this.#flusher.run(stop, end);
  }

  /** Moves what is due now, or all; for whoever does not run(). */
  flush(isAll: boolean): Promise<void> {
    return this.#flusher.flush(isAll);
  }

  stream(stream: Stream): void {
    this.#holdings.addStream(stream);
  }

  segment(header: SegmentHeader, chunks: readonly Uint8Array[]): void {
    const held = this.#holdings.streams.get(header.streamId);
    if (held === undefined || (held.state === 'refused' && held.cover === null)) return;
    const { bootId } = held.item.stream;
    const parts = { head: encodeSegmentHead(header, chunks), media: chunks };
    const entry = this.#holdings.addSegment(noteOf(header), bootId, parts);
    if (held.state === 'refused' && held.cover !== null)
      this.#holdings.giveUp(entry, 'refused', held.cover);
    this.#arrived();
  }

  gap(gap: Gap): void {
    this.#holdings.addGap(gap);
    this.#arrived();
  }

  event(event: Event): void {
    this.#holdings.addEvent(event);
    this.#arrived();
  }

  next(lane: Lane): SpoolItem | undefined {
    const entry = lane === 'live' ? this.#nextLive() : this.#nextInOrder(lane);
    if (entry === undefined) return undefined;
    const held = this.#holdings.streamOf(entry);
    if (held !== undefined && held.state !== 'stored') {
      if (held.state === 'in_flight') return undefined;
      held.state = 'in_flight';
      return held.item;
    }
    entry.isInFlight = true;
    entry.wasSent = true;
    return entry.item;
  }

  free(id: number): void {
    const { entries, streams } = this.#holdings;
    const entry = entries.byItem(id);
    if (entry !== undefined) this.#holdings.remove(entry);
    const held = entry === undefined ? streams.byItem(id) : undefined;
    if (held?.state === 'in_flight') streams.setState(held, 'stored');
    this.#flusher.acknowledged();
    this.#changed();
  }

  giveBack(id: number): void {
    const { entries, streams } = this.#holdings;
    const entry = entries.byItem(id);
    if (entry !== undefined) entry.isInFlight = false;
    const held = streams.byItem(id);
    if (held?.state === 'in_flight') streams.setState(held, 'queued');
    this.#arrived();
  }

  giveBackAll(): void {
    const { entries, streams } = this.#holdings;
    for (const entry of entries) entry.isInFlight = false;
    for (const held of [...streams])
      if (held.state === 'in_flight') streams.setState(held, 'queued');
    this.#arrived();
  }

  resendStream(streamId: string): void {
    const held = this.#holdings.streams.get(streamId);
    if (held?.state === 'stored') held.state = 'queued';
    this.#changed();
  }

  refuse(target: Target, cover: ErrorCode | null): void {
    const held = target.kind === 'stream' ? this.#holdings.streams.get(target.streamId) : undefined;
    if (held !== undefined) {
      held.state = 'refused';
      held.cover = cover;
    }
    for (const entry of this.#holdings.entries) {
      if (!isMeant(entry, target)) continue;
      if (entry.item.kind === 'segment' && cover !== null)
        this.#holdings.giveUp(entry, 'refused', cover);
      else this.#holdings.remove(entry);
    }
    this.#changed();
  }

  retain(mayKeep: (item: Captured) => boolean): boolean {
    const isErased = this.#flusher.erase(this.#holdings.dropForbidden(mayKeep));
    const mayBeUnread = mayKeep({ epoch: Number.MAX_SAFE_INTEGER, scopes: ['video'] });
    const isRead = this.#deps.opened.fault === null;
    const isUnreadGone = isRead || mayBeUnread || this.#eraseUnread();
    this.#changed();
    return isErased && isUnreadGone;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  held(): { readonly items: number; readonly bytes: number } {
    const bytes = this.#holdings.unsaved.bytes + this.#deps.flash.usedBytes();
    return { items: this.#holdings.entries.size, bytes };
  }

  health(): SpoolHealth {
    const { fault } = this.#flusher;
    const state = fault === null ? 'on_flash' : 'memory_only';
    return { state, code: fault?.code ?? null, ...this.held() };
  }

  /** What cannot be read, such as the spool of another version, cannot be judged piece by piece. */
  #eraseUnread(): boolean {
    try {
      this.#deps.eraseUnread();
      return true;
    } catch (error) {
      const { code, message } = toLenscapError(error, 'STORE_FAILED');
      this.#deps.log.error({ code }, `what may not be kept cannot be erased: ${message}`);
      return false;
    }
  }

  #tellRestored(): void {
    const { opened, log } = this.#deps;
    const items = this.#holdings.entries.size;
    if (items > 0) log.info({ items }, 'what waited on flash is sent as soon as it can be');
    const records = opened.damaged.length;
    if (records > 0)
      log.error(
        { code: 'STORE_CORRUPT', records },
        'a part of what waited on flash cannot be read; the server is told of its time as a gap',
      );
  }

  async #payload(id: number): Promise<Uint8Array | undefined> {
    const entry = this.#holdings.entries.byItem(id);
    if (entry === undefined) return undefined;
    if (entry.parts !== null) return joinSegment(entry.parts.head, entry.parts.media);
    const isThere = () => this.#holdings.entries.byItem(id) === entry;
    const { number } = entry;
    try {
      const { head, media } = await this.#deps.flash.read({ number, kind: 'segment' });
      return isThere() ? joinSegment(head, [media]) : undefined;
    } catch (error) {
      if (!isThere()) return undefined;
      const { code, message } = toLenscapError(error, 'STORE_FAILED');
      this.#deps.log.error({ code }, `a segment on flash is given up: ${message}`);
      this.#holdings.giveUp(entry, 'spool_damaged', 'STORE_CORRUPT');
      this.#changed();
      return undefined;
    }
  }

  /** What was handed in later than this is live. */
  #liveFromUs(): number {
    return this.#deps.clock.monoUs() - this.#deps.config.flushAfterMs * 1000;
  }

  #nextInOrder(lane: 'backlog' | 'gaps'): Entry | undefined {
    const untilUs = lane === 'gaps' ? Number.POSITIVE_INFINITY : this.#liveFromUs();
    for (const entry of this.#holdings.entries) {
      if (entry.arrivedMonoUs > untilUs) return undefined;
      if (!entry.isInFlight && (lane === 'backlog' || entry.item.kind !== 'segment')) return entry;
    }
    return undefined;
  }

  #nextLive(): Entry | undefined {
    const fromUs = this.#liveFromUs();
    let found: Entry | undefined;
    let entry = this.#holdings.entries.last;
    for (; entry !== undefined && entry.arrivedMonoUs > fromUs; entry = entry.previous)
      if (!entry.isInFlight) found = entry;
    return found;
  }

  /** Something more waits. */
  #arrived(): void {
    this.#bounds.keep();
    this.#changed();
  }

  #changed(): void {
    this.#safe.tell();
    this.#flusher.wake();
    this.#notify();
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function endOf({ bootId, endMonoUs, endAtUs, epoch }: Safe): Stretch {
  return { bootId, startMonoUs: endMonoUs, startAtUs: endAtUs, durationUs: 0, epoch };
}

function noteOf(header: SegmentHeader): SegmentNote {
  const { streamId, sequence, startAtUs, startMonoUs, durationUs, epoch, scopes } = header;
  return { streamId, sequence, startAtUs, startMonoUs, durationUs, epoch, scopes };
}

/** Whether a refusal of `target` is one of the entry too. */
function isMeant({ item }: Entry, target: Target): boolean {
  if (item.kind === 'event') return false;
  if (item.kind === 'gap') return target.kind === 'gap' && item.gap.gapId === target.gapId;
  if (target.kind === 'gap' || item.header.streamId !== target.streamId) return false;
  return target.kind === 'stream' || item.header.sequence === target.sequence;
}
