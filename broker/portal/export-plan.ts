// Where each stored segment goes in one exported file. Runs of continuous segments keep their own
// clock; between runs the time without pictures is closed up, so that no track ever goes back.
import type { SegmentRow } from '../store/media-rows.ts';
import { measureSegment } from './mp4/fragment.ts';
import { type InitTrack, parseInit } from './mp4/init.ts';
import { isContinued } from './timeline.ts';

const US_PER_S = 1_000_000;

/** A segment with its place in the file. */
export interface Placed {
  readonly row: SegmentRow;
  /** Of its first picture in the file. */
  readonly mediaStartUs: number;
  /** Added to every decode time of its run. */
  readonly shiftUs: number;
  /** The segment before it in the file, when this one does not continue it. */
  readonly breaksFrom: SegmentRow | undefined;
}

type Tracks = ReadonlyMap<number, InitTrack>;

/** Decode times in microseconds, by kind of track. */
type Extent = ReadonlyMap<string, { readonly firstUs: number; readonly endUs: number }>;

/** How the plan gets at what is stored. */
export interface Opener {
  media(row: SegmentRow): Promise<Buffer>;
  init(streamId: string): Promise<Buffer>;
}

/** Places segments one after another; reads media only where a run begins or ends. */
export class ExportPlan {
  readonly #open: Opener;
  readonly #tracks = new Map<string, Tracks>();
  /** End of each kind of track in the file so far. */
  readonly #ends = new Map<string, number>();

  constructor(open: Opener) {
    this.#open = open;
  }

  /** Length of the file; right once every segment has been placed. */
  get durationUs(): number {
    return Math.max(0, ...this.#ends.values());
  }

  /** @throws STORE_CORRUPT for a segment that cannot be read where a run begins or ends. */
  async *place(rows: AsyncIterable<SegmentRow>): AsyncGenerator<Placed, void> {
    let before: SegmentRow | undefined;
    let run = { mediaStartUs: 0, decodeStartUs: 0, shiftUs: 0 };
    for await (const row of rows) {
      const isNewRun = !before || !isContinued(before, row);
      if (isNewRun) {
        if (before) await this.#end(before, run.shiftUs);
        run = await this.#begin(row);
      }
      const mediaStartUs = run.mediaStartUs + row.decode_start_us - run.decodeStartUs;
      yield { row, mediaStartUs, shiftUs: run.shiftUs, breaksFrom: isNewRun ? before : undefined };
      before = row;
    }
    if (before) await this.#end(before, run.shiftUs);
  }

  async #begin(
    row: SegmentRow,
  ): Promise<{ mediaStartUs: number; decodeStartUs: number; shiftUs: number }> {
    const extent = await this.#measure(row);
    // The track that reaches furthest decides, or its next sample would come before its last.
    const needed = [...extent].map(([kind, { firstUs }]) => (this.#ends.get(kind) ?? 0) - firstUs);
    const videoUs = extent.get('video')?.firstUs ?? 0;
    const shiftUs = Math.ceil(Math.max(this.durationUs - videoUs, ...needed));
    return {
      mediaStartUs: Math.round(videoUs + shiftUs),
      decodeStartUs: row.decode_start_us,
      shiftUs,
    };
  }

  async #end(row: SegmentRow, shiftUs: number): Promise<void> {
    for (const [kind, { endUs }] of await this.#measure(row))
      this.#ends.set(kind, Math.max(this.#ends.get(kind) ?? 0, endUs + shiftUs));
  }

  async #measure(row: SegmentRow): Promise<Extent> {
    const tracks = await this.#tracksOf(row.stream_id);
    const times = measureSegment(await this.#open.media(row), tracks);
    const extent = new Map<string, { firstUs: number; endUs: number }>();
    for (const [trackId, { first, end }] of times) {
      const track = tracks.get(trackId);
      if (!track) continue;
      const us = US_PER_S / track.timescale;
      extent.set(track.kind, { firstUs: first * us, endUs: end * us });
    }
    return extent;
  }

  async #tracksOf(streamId: string): Promise<Tracks> {
    const known = this.#tracks.get(streamId);
    if (known) return known;
    const init = await this.#open.init(streamId);
    const tracks = new Map(parseInit(init).map((track) => [track.trackId, track]));
    this.#tracks.set(streamId, tracks);
    return tracks;
  }
}
