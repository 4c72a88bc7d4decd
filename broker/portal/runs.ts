// Pieces in the order in which they are shown: by time, but a run of one stream is never cut by pieces
// of another stream that only seem to lie in it, since the clock of the camera was wrong. Pure.
// INVARIANT: every piece comes out once, and pieces of one stream in the order in which they went in.
import type { SegmentRow } from '../store/media-rows.ts';

type Piece = Pick<SegmentRow, 'stream_id' | 'start_at_us' | 'duration_us'>;

/** What a run may pause between two of its pieces. */
const SLACK_US = 1_000_000;
/** Two days of them. Where more wait for the end of a run, it is cut, so that memory is bounded. */
const MAX_WAITING = 50_000;

export class Runs<T extends Piece> {
  /** Of other streams, while a run lasts. */
  readonly #waiting = new Waiting<T>();
  #streamId: string | undefined;
  #endUs = 0;

  /** The next piece by time. Returns what comes out for it. */
  add(piece: T): T[] {
    const out = this.#isOver(piece.start_at_us) ? this.#begin(piece.start_at_us) : [];
    if (this.#goesOn(piece)) return [...out, this.#take(piece)];
    this.#waiting.add(piece);
    const mayBegin = this.#streamId === undefined || this.#waiting.size > MAX_WAITING;
    return mayBegin ? [...out, ...this.#begin(piece.start_at_us)] : out;
  }

  /** What is left after the last piece. */
  finish(): T[] {
    return this.#begin(Number.POSITIVE_INFINITY);
  }

  #isOver(nowUs: number): boolean {
    return nowUs > this.#endUs + SLACK_US;
  }

  #goesOn({ stream_id, start_at_us }: T): boolean {
    return stream_id === this.#streamId && start_at_us <= this.#endUs + SLACK_US;
  }

  #take(piece: T): T {
    this.#endUs = Math.max(this.#endUs, piece.start_at_us + piece.duration_us);
    return piece;
  }

  /** Lets out the runs that wait, one by one, up to one that may go on at `nowUs`. */
  #begin(nowUs: number): T[] {
    const out: T[] = [];
    do {
      let next = this.#waiting.first();
      this.#streamId = next?.stream_id;
      if (!next) return out;
      this.#endUs = next.start_at_us;
      for (; next && this.#goesOn(next); next = this.#waiting.firstOf(next.stream_id)) {
        this.#waiting.take(next);
        out.push(this.#take(next));
      }
    } while (this.#isOver(nowUs));
    return out;
  }
}

/** Pieces by time, and those of a stream by time, each got at in constant time. */
class Waiting<T extends Piece> {
  readonly #byTime = new Queue<T>();
  readonly #ofStream = new Map<string, Queue<T>>();
  /** Of those in #byTime. */
  readonly #taken = new Set<T>();

  get size(): number {
    return this.#byTime.size - this.#taken.size;
  }

  add(piece: T): void {
    const queue = this.#ofStream.get(piece.stream_id) ?? new Queue<T>();
    this.#ofStream.set(piece.stream_id, queue);
    queue.push(piece);
    this.#byTime.push(piece);
  }

  first(): T | undefined {
    return this.#byTime.first;
  }

  firstOf(streamId: string): T | undefined {
    return this.#ofStream.get(streamId)?.first;
  }

  /** The first one of its stream. */
  take(piece: T): void {
    const queue = this.#ofStream.get(piece.stream_id);
    queue?.shift();
    if (queue?.size === 0) this.#ofStream.delete(piece.stream_id);
    this.#taken.add(piece);
    let first = this.#byTime.first;
    while (first && this.#taken.delete(first)) {
      this.#byTime.shift();
      first = this.#byTime.first;
    }
  }
}

/** First in, first out, in constant time: shifting a long array moves all of it. */
class Queue<T> {
  readonly #items: T[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): void {
    this.#head += 1;
    if (this.#head * 2 < this.#items.length) return;
    this.#items.splice(0, this.#head);
    this.#head = 0;
  }
}

/** The same for pieces that come one by one. */
export async function* inRuns<T extends Piece>(pieces: AsyncIterable<T>): AsyncGenerator<T, void> {
  const runs = new Runs<T>();
  for await (const piece of pieces) yield* runs.add(piece);
  yield* runs.finish();
}

/** The same for all that there are. */
export function allInRuns<T extends Piece>(pieces: readonly T[]): T[] {
  const runs = new Runs<T>();
  return [...pieces.flatMap((piece) => runs.add(piece)), ...runs.finish()];
}
