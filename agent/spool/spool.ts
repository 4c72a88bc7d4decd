// What waits between capture and uplink. Invariant: nothing handed in is lost in silence: it is
// acknowledged (`free`), covered by a Gap, or erased because consent or the server says so.
import type { ErrorCode } from '../../proto/errors.ts';
import { EVENT_SCOPES, type Event } from '../../proto/event.ts';
import type { Gap } from '../../proto/gap.ts';
import type { SpoolHealth } from '../../proto/health.ts';
import type { SegmentHeader } from '../../proto/segment.ts';
import type { Stream } from '../../proto/stream.ts';
import type { Target } from '../../proto/verdict.ts';
import type { Captured } from '../consent/captured.ts';

export type { Captured } from '../consent/captured.ts';

/** What is known of a segment that waits, wherever its media are. */
export type SegmentNote = Omit<SegmentHeader, 'decodeStartUs' | 'sha256'>;

/** Something to be sent. `id` names it for as long as this process runs. */
export type SpoolItem =
  | { readonly kind: 'stream'; readonly id: number; readonly stream: Stream }
  | {
      readonly kind: 'segment';
      readonly id: number;
      readonly header: SegmentNote;
      /** The Segment message, or undefined when it was erased meanwhile or cannot be read back. */
      readonly payload: () => Promise<Uint8Array | undefined>;
    }
  | { readonly kind: 'gap'; readonly id: number; readonly gap: Gap }
  | { readonly kind: 'event'; readonly id: number; readonly event: Event };

/** What consent has to allow for an event. Those of the device itself tell of its health. */
export function coverOfEvent({ kind, epoch }: Pick<Event, 'kind' | 'epoch'>): Captured {
  const scope = EVENT_SCOPES[kind];
  const scopes = [scope];
  return scope === 'device_info' ? { epoch, scopes, part: 'health' } : { epoch, scopes };
}

/**
 * `live`: what was handed in within the last `flushAfterMs`, the oldest of it first. `backlog`: what
 * waits for longer, in order. `gaps`: Gaps and events alone, in order, live or not.
 */
export type Lane = 'live' | 'backlog' | 'gaps';

export interface Spool {
  /** A stream comes before its segments; it is kept while it is the last one or has segments here. */
  stream(stream: Stream): void;
  segment(header: SegmentHeader, chunks: readonly Uint8Array[]): void;
  gap(gap: Gap): void;
  /** In the place of an earlier one with its id that waits. */
  event(event: Event): void;

  /**
   * The next item of a lane, from now on in flight; undefined when there is none or when it has to
   * wait for its stream to be acknowledged. The stream of a segment comes before it in any lane but
   * `gaps`.
   */
  next(lane: Lane): SpoolItem | undefined;
  /** Acknowledged by the server: the copy goes. An id that is not there any more is fine. */
  free(id: number): void;
  /** Not taken in: to be sent again, in its old place. */
  giveBack(id: number): void;
  /** The same for all that is in flight, after a loss of the connection. */
  giveBackAll(): void;
  /** The server does not know this stream: it goes before the next of its segments again. */
  resendStream(streamId: string): void;
  /**
   * Refused for good: erased. A stream takes its segments with it, those to come included.
   * @param cover the code for the Gap in its place; null for none.
   */
  refuse(target: Target, cover: ErrorCode | null): void;
  /**
   * Erases what may not be kept, in flight or not, on flash too, without a Gap; done on return.
   * Returns false when the flash did not let go of all of it; that is tried again.
   */
  retain(mayKeep: (item: Captured) => boolean): boolean;

  /** Calls back after something was handed in, given back or erased. Returns how to stop that. */
  onChange(listener: () => void): () => void;
  /** Items that are not yet acknowledged, and the bytes they take, in memory and on flash. */
  held(): { readonly items: number; readonly bytes: number };
  /** How it is; `onChange` tells of a change of its state. */
  health(): SpoolHealth;
}
