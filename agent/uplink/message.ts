// From what waits to what is published, and from a verdict to what it means for the copy here. Pure.
import type { ErrorCode } from '../../proto/errors.ts';
import { encodeEvent } from '../../proto/event.ts';
import { encodeGap } from '../../proto/gap.ts';
import { encodeStream } from '../../proto/stream.ts';
import type { UpNoun } from '../../proto/topics.ts';
import type { Target, Verdict } from '../../proto/verdict.ts';
import { type Captured, coverOfEvent, type SpoolItem } from '../spool/spool.ts';

export interface Message {
  readonly noun: UpNoun;
  readonly payload: Uint8Array;
}

/** The message for an item; undefined when it was erased in the meantime, or is damaged. */
export async function messageOf(item: SpoolItem): Promise<Message | undefined> {
  switch (item.kind) {
    case 'stream':
      return { noun: 'stream', payload: encodeStream(item.stream) };
    case 'gap':
      return { noun: 'gap', payload: encodeGap(item.gap) };
    case 'event':
      return { noun: 'event', payload: encodeEvent(item.event) };
    case 'segment': {
      const payload = await item.payload();
      return payload && { noun: 'segment', payload };
    }
  }
}

/** What consent has to allow for an item to leave. A Gap tells of pictures. */
export function capturedIn(item: SpoolItem): Captured {
  if (item.kind === 'stream') return item.stream;
  if (item.kind === 'segment') return item.header;
  if (item.kind === 'event') return coverOfEvent(item.event);
  return { epoch: item.gap.epoch, scopes: ['video'] };
}

/** What a verdict would name; null for an event, of which no verdict speaks. */
export function targetOf(item: SpoolItem): Target | null {
  if (item.kind === 'event') return null;
  if (item.kind === 'gap') return { kind: 'gap', gapId: item.gap.gapId };
  if (item.kind === 'stream') return { kind: 'stream', streamId: item.stream.streamId };
  const { streamId, sequence } = item.header;
  return { kind: 'segment', streamId, sequence };
}

export function isSameTarget(one: Target | null, other: Target): boolean {
  if (one === null) return false;
  if (one.kind === 'gap' || other.kind === 'gap')
    return one.kind === 'gap' && other.kind === 'gap' && one.gapId === other.gapId;
  if (one.streamId !== other.streamId) return false;
  if (one.kind === 'segment' && other.kind === 'segment') return one.sequence === other.sequence;
  return one.kind === other.kind;
}

/** Refusals after which nothing is missing: not consented to, deleted by the owner, there already. */
const SILENT: ReadonlySet<ErrorCode> = new Set([
  'CONSENT_MISSING',
  'POLICY_STALE',
  'SEGMENT_DELETED',
  'SEGMENT_CONFLICT',
]);

/** The code of the Gap that takes the place of what a verdict erases; null for no Gap. */
export function coverOf({ code }: Verdict): ErrorCode | null {
  return SILENT.has(code) ? null : code;
}
