// From the records that an earlier run left to what waits again. Pure. INVARIANT: each record is sent,
// or the time it covered becomes a Gap; never neither.
import type { LenscapError } from '../../proto/errors.ts';
import { decodeEvent, type Event } from '../../proto/event.ts';
import { decodeGap, type Gap } from '../../proto/gap.ts';
import { decodeSegmentHead } from '../../proto/segment.ts';
import { decodeStream, type Stream } from '../../proto/stream.ts';
import type { Covered } from './entries.ts';
import type { Found, RecordId } from './flash.ts';
import { gapOver, type Stretch, unreadable } from './lost-stretch.ts';
import type { Captured, SegmentNote } from './spool.ts';

/** What the flash held when it was opened. */
export interface Opened {
  readonly found: readonly Found[];
  readonly damaged: readonly RecordId[];
  readonly fault: LenscapError | null;
}

interface Kept {
  readonly number: number;
  readonly flashBytes: number;
}

export type RestoredEntry =
  | (Kept & { readonly kind: 'segment'; readonly note: SegmentNote; readonly bootId: string })
  | (Kept & { readonly kind: 'gap'; readonly gap: Gap; readonly covered: readonly Covered[] })
  | (Kept & { readonly kind: 'event'; readonly event: Event });

/** What tells of captured time. */
type MediaEntry = Exclude<RestoredEntry, { kind: 'event' }>;

export interface Restored {
  readonly streams: readonly { readonly number: number; readonly stream: Stream }[];
  /** In order. */
  readonly entries: readonly RestoredEntry[];
  /** Records of which nothing can be made. */
  readonly useless: readonly RecordId[];
  readonly lastNumber: number;
}

/** A record that cannot be read, or not be sent for want of its stream. */
interface Lost {
  readonly kind: 'lost';
  readonly number: number;
  readonly record: RecordId;
  readonly flashBytes: number;
  /** What is known of what it holds. */
  readonly durationUs?: number;
  readonly captured?: Captured;
}

type Item = MediaEntry | Lost;

/**
 * @param usualUs length of a segment, where no record tells it.
 * @param mark what ended the captured time, where no record tells it.
 */
export function restored(
  { found, damaged }: Pick<Opened, 'found' | 'damaged'>,
  usualUs: number,
  mark: Stretch | null,
): Restored {
  const streams = found.flatMap(({ kind, number, head }) => {
    const stream = kind === 'stream' ? readable(() => decodeStream(head)) : undefined;
    return stream === undefined ? [] : [{ number, stream }];
  });
  const byId = new Map(streams.map(({ stream }) => [stream.streamId, stream]));
  const all = [...found, ...damaged];
  const events = latestEvents(found);
  const known = new Set([...streams, ...events].map(({ number }) => number));
  const isUseless = uselessIn(all, known);
  const items = [
    ...found.filter((one) => isKept(one, isUseless)).map((record) => itemOf(record, byId)),
    ...damaged.filter((one) => isKept(one, isUseless)).map((record) => lostOf(record, 0)),
  ].sort((one, other) => one.number - other.number);
  const numbers = all.map(({ number }) => number);
  const { entries, unknown } = withGaps(items, usualUs, mark);
  return {
    streams,
    entries: [...entries, ...events].sort((one, other) => one.number - other.number),
    useless: [...all.filter(isUseless), ...unknown],
    lastNumber: numbers.reduce((most, number) => Math.max(most, number), 0),
  };
}

function readable<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

/** Of an event the record with the higher number. What an event told is lost with its record. */
function latestEvents(found: readonly Found[]): Extract<RestoredEntry, { kind: 'event' }>[] {
  const byId = new Map<string, Extract<RestoredEntry, { kind: 'event' }>>();
  for (const { kind, number, head, bytes: flashBytes } of found) {
    const event = kind === 'event' ? readable(() => decodeEvent(head)) : undefined;
    if (event !== undefined) byId.set(event.eventId, { kind: 'event', number, flashBytes, event });
  }
  return [...byId.values()];
}

const isKept = (record: RecordId, isUseless: (record: RecordId) => boolean): boolean =>
  record.kind !== 'stream' && record.kind !== 'event' && !isUseless(record);

/** A stream or event that cannot be read; a segment given up by a run that ended before it was removed. */
function uselessIn(
  all: readonly RecordId[],
  known: ReadonlySet<number>,
): (record: RecordId) => boolean {
  const gaps = new Set(all.filter(({ kind }) => kind === 'gap').map(({ number }) => number));
  return ({ kind, number }) =>
    ((kind === 'stream' || kind === 'event') && !known.has(number)) ||
    (kind === 'segment' && gaps.has(number));
}

function lostOf({ number, kind }: RecordId, flashBytes: number): Lost {
  return { kind: 'lost', number, record: { number, kind }, flashBytes };
}

function itemOf(record: Found, streams: ReadonlyMap<string, Stream>): Item {
  const { number, head, bytes: flashBytes } = record;
  if (record.kind === 'gap') {
    const gap = readable(() => decodeGap(head));
    return gap === undefined
      ? lostOf(record, flashBytes)
      : { kind: 'gap', number, flashBytes, gap, covered: [] };
  }
  const header = readable(() => decodeSegmentHead(head));
  const stream = streams.get(header?.streamId ?? '');
  if (header === undefined) return lostOf(record, flashBytes);
  if (stream === undefined) {
    const { durationUs, epoch } = header;
    return {
      ...lostOf(record, flashBytes),
      durationUs,
      captured: { epoch, scopes: record.scopes },
    };
  }
  const { sequence, startAtUs, startMonoUs, durationUs, epoch } = header;
  // One text and one list for all segments of a stream: there may be tens of thousands.
  const { streamId, scopes, bootId } = stream;
  const note = { streamId, sequence, startAtUs, startMonoUs, durationUs, epoch, scopes };
  return { kind: 'segment', number, flashBytes, note, bootId };
}

/** Each run of lost ones as one Gap between its neighbours; `unknown`: where there are none. */
function withGaps(
  items: readonly Item[],
  usualUs: number,
  mark: Stretch | null,
): { readonly entries: MediaEntry[]; readonly unknown: readonly RecordId[] } {
  const entries: MediaEntry[] = [];
  const unknown: RecordId[] = [];
  let lost: Lost[] = [];
  const cover = (next: MediaEntry | undefined) => {
    const [first] = lost;
    if (first === undefined) return;
    const last = entries.at(-1);
    const guessUs = guessOf(lost, Math.max(usualUs, lengthOf(last), lengthOf(next)));
    // What was on flash lies before the mark.
    const after = stretchOf(next) ?? (last === undefined ? (mark ?? undefined) : undefined);
    const stretch = unreadable(stretchOf(last), after, guessUs);
    if (stretch === null) unknown.push(...lost.map(({ record }) => record));
    else entries.push(gapFor(first, lost, stretch));
    lost = [];
  };
  for (const item of items) {
    if (item.kind === 'lost') lost.push(item);
    else {
      cover(item);
      entries.push(item);
    }
  }
  cover(undefined);
  return { entries, unknown };
}

function gapFor({ number }: Lost, lost: readonly Lost[], stretch: Stretch): MediaEntry {
  const pictures = { epoch: stretch.epoch, scopes: ['video'] } as const;
  const covered = lost.map(({ record, flashBytes, captured = pictures }) => {
    return { ...record, captured, flashBytes };
  });
  const gap = gapOver(stretch, 'spool_damaged', 'STORE_CORRUPT');
  return { kind: 'gap', number, flashBytes: 0, gap, covered };
}

function guessOf(lost: readonly Lost[], usualUs: number): number {
  return lost.reduce((sum, { durationUs = usualUs }) => sum + durationUs, 0);
}

/** Of a segment; how long a Gap was says nothing of what comes after it. */
function lengthOf(entry: MediaEntry | undefined): number {
  return entry?.kind === 'segment' ? entry.note.durationUs : 0;
}

function stretchOf(entry: MediaEntry | undefined): Stretch | undefined {
  if (entry?.kind === 'gap') return entry.gap;
  return entry && { ...entry.note, bootId: entry.bootId };
}
