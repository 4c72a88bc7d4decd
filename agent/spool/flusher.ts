// Moves what waits to flash, when it has to. Invariants: one write at a time, the oldest first, a
// stream before its segments; maxBytes holds and 5% of the file system stay free; a flash that fails
// costs nothing but its use: what waits stays in memory, and it is tried again.
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentConfig } from '../../proto/agent-config.ts';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import { encodeEvent } from '../../proto/event.ts';
import { encodeGap } from '../../proto/gap.ts';
import { encodeStream } from '../../proto/stream.ts';
import type { Covered, Entry } from './entries.ts';
import { Flash, type NewRecord, type RecordId, type RecordKind } from './flash.ts';
import { FlashFault, type FlashFaultDeps } from './flash-fault.ts';
import { isOverLimit, missingBytes } from './flash-room.ts';
import type { HeldStream } from './held-streams.ts';
import type { Holdings } from './holdings.ts';
import { OwedErasure } from './owed-erasure.ts';

/** How often it is looked whether something has to move. */
const LOOK_MS = 500;

export interface FlusherDeps extends FlashFaultDeps {
  readonly config: AgentConfig['spool'];
  readonly flash: Pick<Flash, 'write' | 'read' | 'remove' | 'erase' | 'usedBytes' | 'room'>;
  /** Memory that this machine can still give, bytes; `process.availableMemory` if absent. */
  readonly availableMemory?: () => number;
  readonly holdings: Holdings;
  /** Something has come to flash. */
  readonly onMoved: () => void;
}

export class Flusher {
  readonly #deps: FlusherDeps;
  readonly #fault: FlashFault;
  readonly #owed: OwedErasure;
  #wake = Promise.withResolvers<void>();
  #acknowledgedAtUs: number;
  /** The server has not acknowledged for flushAfterMs, and nothing since. */
  #isSilent = false;
  /** Something was given up for room since the last acknowledgement. */
  #isFull = false;

  constructor(deps: FlusherDeps) {
    this.#deps = deps;
    this.#fault = new FlashFault(deps);
    this.#owed = new OwedErasure(deps);
    this.#acknowledgedAtUs = deps.clock.monoUs();
  }

  /** Why the flash takes nothing; null while it does. */
  get fault(): LenscapError | null {
    return this.#fault.now;
  }

  wake(): void {
    this.#wake.resolve();
  }

  /** The server has taken something. */
  acknowledged(): void {
    this.#acknowledgedAtUs = this.#deps.clock.monoUs();
    this.#isSilent = false;
    this.#isFull = false;
  }

  /** Segments are given up for room; told once until the server takes something. */
  tellFull(): void {
    if (!this.#isFull)
      this.#deps.log.warn({ code: 'SPOOL_FULL' }, 'the spool is full: the oldest are given up');
    this.#isFull = true;
  }

  /** Moves what is due; all of it from `stop` on. Resolves after `end`, when the rest is on flash. */
  async run(stop: AbortSignal, end: AbortSignal): Promise<void> {
    const wake = () => this.wake();
    const over = new AbortController();
    stop.addEventListener('abort', wake, { signal: over.signal });
    end.addEventListener('abort', wake, { signal: over.signal });
    for (let isLast = false; !isLast; ) {
      isLast = end.aborted;
      this.#wake = Promise.withResolvers<void>();
      await this.flush(stop.aborted || isLast);
      if (!isLast && !end.aborted) await this.#rest();
    }
    over.abort();
  }

  /** Erases records for good; what the flash does not let go of (returns false) is tried again. */
  erase(ids: readonly RecordId[]): boolean {
    this.#owed.add(ids);
    this.#owed.settle();
    return !this.#owed.isAny;
  }

  async #rest(): Promise<void> {
    if (!this.#deps.holdings.unsaved.isAny && !this.#owed.isAny) return this.#wake.promise;
    const awake = new AbortController();
    const timer = sleep(LOOK_MS, undefined, { signal: awake.signal }).catch(() => undefined);
    await Promise.race([this.#wake.promise, timer]);
    awake.abort();
  }

  /** Moves what is due now, or all. Never at the same time as another one. */
  async flush(isAll: boolean): Promise<void> {
    this.#owed.settle();
    if (this.#fault.isResting && !isAll) return;
    const stale = this.#deps.holdings.unsaved.inOrder;
    const mayWait = !isAll && !this.#isUrgent(stale);
    for (const entry of stale)
      if (entry.place === 'stale' && !entry.isGone && (!mayWait || this.#isDue(entry)))
        if (!(await this.#flush(entry))) return;
  }

  /** Whether everything has to move, however young. */
  #isUrgent([oldest]: readonly Entry[]): boolean {
    const {
      config,
      clock,
      holdings,
      availableMemory = () => process.availableMemory(),
    } = this.#deps;
    if (oldest === undefined) return false;
    const sinceUs = Math.max(this.#acknowledgedAtUs, oldest.arrivedMonoUs);
    if (clock.monoUs() - sinceUs >= config.flushAfterMs * 1000) this.#isSilent = true;
    return (
      this.#isSilent ||
      config.durability === 'always' ||
      holdings.unsaved.bytes > config.memoryBytes / 2 ||
      availableMemory() < config.minFreeMemoryBytes
    );
  }

  #isDue({ arrivedMonoUs, covered, flashBytes }: Entry): boolean {
    const { config, clock } = this.#deps;
    const isOld = clock.monoUs() - arrivedMonoUs >= config.flushAfterMs * 1000;
    return isOld || covered.length > 0 || flashBytes > 0;
  }

  /** Returns whether the flash took it. */
  async #flush(entry: Entry): Promise<boolean> {
    try {
      await this.#write(entry);
      this.#fault.worked();
      return true;
    } catch (error) {
      this.#fault.failed(toLenscapError(error, 'STORE_FAILED'));
      return false;
    }
  }

  /**
   * Writes an entry, if it is still the same when there is room for it.
   * @param isForRoom it is the Gap that makes the room, and must not wait for any.
   * @throws STORE_FULL, STORE_FAILED.
   */
  async #write(entry: Entry, isForRoom = false): Promise<void> {
    const { holdings, config } = this.#deps;
    const { item } = entry;
    const stream = holdings.streamOf(entry);
    if (stream !== undefined && !stream.isOnFlash) await this.#writeStream(stream);
    const isWanted = () => !entry.isGone && entry.item === item;
    const record = recordOf(entry);
    // It may have gone while its stream was written.
    if (record === undefined || !isWanted()) return;
    if (isOverLimit(record.kind, Flash.bytesOf(record), config.maxBytes))
      return this.#giveUpAlone(entry);
    entry.place = 'writing';
    try {
      const covered = [...entry.covered];
      const bytes = isForRoom
        ? await this.#deps.flash.write(record)
        : await this.#put(record, isWanted);
      if (bytes > 0) this.#written(entry, item, bytes, covered);
    } finally {
      if (entry.place === 'writing') entry.place = 'stale';
    }
  }

  #written(entry: Entry, item: Entry['item'], bytes: number, covered: readonly Covered[]): void {
    const { holdings, flash, onMoved } = this.#deps;
    if (entry.isGone) flash.remove({ number: entry.number, kind: item.kind });
    else if (entry.item.kind === item.kind) entry.flashBytes = bytes;
    holdings.written(entry, item, bytes);
    onMoved();
    this.#uncover(entry, covered);
  }

  /** A segment that not even an empty spool could take; while it is in flight it may still arrive. */
  async #giveUpAlone(entry: Entry): Promise<void> {
    if (entry.isInFlight) return;
    this.tellFull();
    const gap = this.#deps.holdings.giveUp(entry, 'spool_full', 'SPOOL_FULL');
    if (gap !== undefined) await this.#write(gap);
  }

  async #writeStream(held: HeldStream): Promise<void> {
    const { stream } = held.item;
    const head = encodeStream(stream);
    const id = { number: held.number, kind: 'stream' } as const;
    const record = { ...id, scopes: stream.scopes, head, media: [] };
    const bytes = await this.#put(record, () => !held.isGone);
    if (held.isGone) this.#deps.flash.remove(id);
    else held.isOnFlash = bytes > 0;
  }

  /** Returns the bytes on flash; 0 when it was not wanted any more. @throws STORE_FULL, STORE_FAILED. */
  async #put(record: NewRecord, isWanted: () => boolean): Promise<number> {
    await this.#makeRoom(record.kind, Flash.bytesOf(record));
    // Consent to it may have been withdrawn meanwhile.
    return isWanted() ? this.#deps.flash.write(record) : 0;
  }

  /** The Gap is on flash, so the records in its place may go. */
  #uncover(entry: Entry, covered: readonly Covered[]): void {
    const there = new Set(entry.covered);
    const gone = covered.filter((one) => there.delete(one));
    entry.covered = [...there];
    this.#deps.flash.remove(...gone);
  }

  /** Gives up the oldest on flash until there is room. @throws STORE_FULL when there is nothing more. */
  async #makeRoom(kind: RecordKind, bytes: number): Promise<void> {
    const { config, flash } = this.#deps;
    for (;;) {
      const room = await flash.room();
      const usedBytes = flash.usedBytes();
      const missing = missingBytes(kind, bytes, config.maxBytes, usedBytes, room);
      if (missing === 0) return;
      if (await this.#giveUpOldest(missing)) continue;
      const isCrowded = kind === 'gap' && isOverLimit(kind, usedBytes + bytes, config.maxBytes);
      if (!isCrowded || !(await this.#joinGaps()))
        throw new LenscapError(
          'STORE_FULL',
          `the spool lacks ${missing} bytes and has nothing to give up; free some room for it`,
        );
    }
  }

  async #giveUpOldest(bytes: number): Promise<boolean> {
    const { holdings } = this.#deps;
    const gaps = new Set<Entry>();
    let freed = 0;
    for (const entry of holdings.entries) {
      if (freed >= bytes) break;
      if (entry.item.kind !== 'segment' || entry.flashBytes === 0 || entry.isInFlight) continue;
      freed += entry.flashBytes;
      const gap = holdings.giveUp(entry, 'spool_full', 'SPOOL_FULL');
      if (gap !== undefined) gaps.add(gap);
    }
    if (gaps.size > 0) this.tellFull();
    for (const gap of gaps) await this.#writeGap(gap);
    return gaps.size > 0;
  }

  /** Where Gaps alone fill the spool. Returns whether two of them became one. */
  async #joinGaps(): Promise<boolean> {
    const gap = this.#deps.holdings.joinOldestGaps();
    if (gap === undefined) return false;
    this.tellFull();
    await this.#writeGap(gap);
    return true;
  }

  /** On a disk that is full to the last byte the Gap comes to be in the room that it makes. */
  async #writeGap(gap: Entry): Promise<void> {
    try {
      await this.#write(gap, true);
    } catch (error) {
      if (toLenscapError(error, 'STORE_FAILED').code !== 'STORE_FULL') throw error;
      this.#uncover(gap, gap.covered);
      await this.#write(gap, true);
    }
  }
}

/** What is written of an entry; undefined when it holds nothing any more. */
function recordOf({ number, item, captured, parts }: Entry): NewRecord | undefined {
  const { scopes } = captured;
  if (item.kind === 'gap')
    return { number, kind: 'gap', scopes, head: encodeGap(item.gap), media: [] };
  if (item.kind === 'event')
    return { number, kind: 'event', scopes, head: encodeEvent(item.event), media: [] };
  return parts === null ? undefined : { number, kind: 'segment', scopes, ...parts };
}
