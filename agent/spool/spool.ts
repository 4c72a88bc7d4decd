// What waits between capture and uplink. Invariant: nothing handed in is lost in silence: it is
// acknowledged (`free`), covered by a Gap, or erased because consent or the server says so.
import type { ErrorCode } from '../../proto/errors.ts';
import type { Gap } from '../../proto/gap.ts';
import type { Scope } from '../../proto/scopes.ts';
import type { SegmentHeader } from '../../proto/segment.ts';
import type { Stream } from '../../proto/stream.ts';
import type { Target } from '../../proto/verdict.ts';

/** Something to be sent. `id` names it for as long as this process runs. */
export type SpoolItem =
  | { readonly kind: 'stream'; readonly id: number; readonly stream: Stream }
  | {
      readonly kind: 'segment';
      readonly id: number;
      readonly header: SegmentHeader;
      /** The chunks, or undefined when the segment was erased in the meantime. */
      readonly media: () => Promise<readonly Uint8Array[] | undefined>;
    }
  | { readonly kind: 'gap'; readonly id: number; readonly gap: Gap };

export interface Captured {
  readonly epoch: number;
  readonly scopes: readonly Scope[];
}

export interface Spool {
  /** A stream comes before its segments; it is kept while it is the last one or has segments here. */
  stream(stream: Stream): void;
  segment(header: SegmentHeader, chunks: readonly Uint8Array[]): void;
  gap(gap: Gap): void;

  /**
   * The next item in order, from now on in flight; undefined when there is none or when it has to
   * wait for its stream to be acknowledged.
   */
  next(): SpoolItem | undefined;
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
  /** Erases what may not be kept, in flight or not, without a Gap. */
  retain(mayKeep: (item: Captured) => boolean): void;

  /** Calls back after something was handed in or erased. Returns how to stop that. */
  onChange(listener: () => void): () => void;
  /** Items that are not yet acknowledged, and the bytes they take. */
  held(): { readonly items: number; readonly bytes: number };
}
