// From the records that an earlier run left to what waits again. Pure. INVARIANT: each record is sent,
// or the time it covered becomes a Gap; never neither.
import type { LenscapError } from '../../proto/errors.ts';
import { decodeGap, type Gap } from '../../proto/gap.ts';
import { decodeSegmentHead } from '../../proto/segment.ts';
import { decodeStream, type Stream } from '../../proto/stream.ts';
import type { Covered } from './entries.ts';
import type { Found, RecordId } from './flash.ts';
import { gapOver, type Stretch, unreadable } from './lost-stretch.ts';
import type { SegmentNote } from './spool.ts';

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
  | (Kept & { readonly kind: 'gap'; readonly gap: Gap; readonly covered: readonly Covered[] });

export interface Restored {
  readonly streams: readonly { readonly number: number; readonly stream: Stream }[];
  /** In order. */
  readonly entries: readonly RestoredEntry[];
  readonly lastNumber: number;
}

/** A record that cannot be read, or not be sent for want of its stream. */
interface Lost {
  readonly kind: 'lost';
  readonly number: number;
  readonly flashBytes: number;
}

type Item = RestoredEntry | Lost;

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
  const items = [
    ...found.filter(({ kind }) => kind !== 'stream').map((record) => itemOf(record, byId)),
    ...damaged.filter(({ kind }) => kind !== 'stream').map(({ number }) => lostAt(number)),
  ].sort((one, other) => one.number - other.number);
  const numbers = [...found, ...damaged].map(({ number }) => number);
  return {
    streams,
    entries: withGaps(items, usualUs, mark),
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

const lostAt = (number: number): Lost => ({ kind: 'lost', number, flashBytes: 0 });

function itemOf(record: Found, streams: ReadonlyMap<string, Stream>): Item {
  const { number, head, bytes: flashBytes } = record;
  if (record.kind === 'gap') {
    const gap = readable(() => decodeGap(head));
    return gap === undefined
      ? lostAt(number)
      : { kind: 'gap', number, flashBytes, gap, covered: [] };
  }
  const header = readable(() => decodeSegmentHead(head));
  const stream = streams.get(header?.streamId ?? '');
  if (header === undefined || stream === undefined) return { kind: 'lost', number, flashBytes };
  const { sequence, startAtUs, startMonoUs, durationUs, epoch } = header;
  // One text and one list for all segments of a stream: there may be tens of thousands.
  const { streamId, scopes, bootId } = stream;
  const note = { streamId, sequence, startAtUs, startMonoUs, durationUs, epoch, scopes };
  return { kind: 'segment', number, flashBytes, note, bootId };
}

/** Each run of lost ones as one Gap between its neighbours. */
function withGaps(items: readonly Item[], usualUs: number, mark: Stretch | null): RestoredEntry[] {
  const entries: RestoredEntry[] = [];
  let lost: Lost[] = [];
  const cover = (next: Stretch | undefined) => {
    const before = stretchOf(entries.at(-1));
    // What was on flash lies before the mark.
    const after = next ?? (before === undefined ? (mark ?? undefined) : undefined);
    const [first] = lost;
    if (first === undefined) return;
    const stretch = unreadable(before, after, lost.length, usualUs);
    const captured = { epoch: stretch?.epoch ?? 0, scopes: ['video'] } as const;
    const covered = lost.map(({ number, flashBytes }) => ({ number, captured, flashBytes }));
    lost = [];
    if (stretch === null) return;
    const gap = gapOver(stretch, 'spool_damaged', 'STORE_CORRUPT');
    entries.push({ kind: 'gap', number: first.number, flashBytes: 0, gap, covered });
  };
  for (const item of items) {
    if (item.kind === 'lost') lost.push(item);
    else {
      cover(stretchOf(item));
      entries.push(item);
    }
  }
  cover(undefined);
  return entries;
}

function stretchOf(entry: RestoredEntry | undefined): Stretch | undefined {
  if (entry?.kind === 'gap') return entry.gap;
  return entry && { ...entry.note, bootId: entry.bootId };
}
