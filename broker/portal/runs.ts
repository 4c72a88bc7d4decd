// Pieces in the order in which they are shown: by time, but a run of one stream is never cut by pieces
// of another stream that only seem to lie in it, since the clock of the camera was wrong. Pure.
// INVARIANT: every piece comes out once, and pieces of one stream in the order in which they went in.
import type { SegmentRow } from '../store/media-rows.ts';

type Piece = Pick<SegmentRow, 'stream_id' | 'start_at_us' | 'duration_us'>;

/** What a run may pause between two of its pieces. */
const SLACK_US = 1_000_000;

export class Runs<T extends Piece> {
  /** Of other streams, while a run lasts; by time. */
  #waiting: T[] = [];
  #streamId: string | undefined;
  #endUs = 0;

  /** The next piece by time. Returns what comes out for it. */
  add(piece: T): T[] {
    const out = this.#isOver(piece.start_at_us) ? this.#begin(piece.start_at_us) : [];
    if (this.#goesOn(piece)) return [...out, this.#take(piece)];
    this.#waiting.push(piece);
    return this.#streamId === undefined ? [...out, ...this.#begin(piece.start_at_us)] : out;
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
      const first = this.#waiting[0];
      this.#streamId = first?.stream_id;
      if (!first) return out;
      this.#endUs = first.start_at_us;
      const others: T[] = [];
      for (const piece of this.#waiting)
        if (this.#goesOn(piece)) out.push(this.#take(piece));
        else others.push(piece);
      this.#waiting = others;
    } while (this.#isOver(nowUs));
    return out;
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
