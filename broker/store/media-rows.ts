// Reading the rows of streams, segments and gaps. They are written by commit.ts alone.
import { sql } from 'kysely';
import { MAX_SEGMENT_US } from '../../proto/segment.ts';
import type { Index, Tables } from './schema.ts';

export type StreamRow = Tables['streams'];
export type SegmentRow = Tables['segments'];
export type GapRow = Tables['gaps'];

/** A stretch of a device's time, [fromUs, toUs). */
export interface Span {
  readonly deviceId: string;
  readonly fromUs: number;
  readonly toUs: number;
}

export interface Totals {
  readonly segments: number;
  readonly bytes: number;
  /** End of the newest segment; null when there is none. */
  readonly lastEndUs: number | null;
}

const MAX_GAPS = 10_000;

export class MediaRows {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  stream(deviceId: string, streamId: string): Promise<StreamRow | undefined> {
    return this.#index
      .selectFrom('streams')
      .selectAll()
      .where('device_id', '=', deviceId)
      .where('stream_id', '=', streamId)
      .executeTakeFirst();
  }

  segment(deviceId: string, streamId: string, sequence: number): Promise<SegmentRow | undefined> {
    return this.#index
      .selectFrom('segments')
      .selectAll()
      .where('device_id', '=', deviceId)
      .where('stream_id', '=', streamId)
      .where('sequence', '=', sequence)
      .executeTakeFirst();
  }

  /** Segments that overlap the span, by time: `limit` of them from `offset` on. */
  segments(span: Span, limit: number, offset = 0): Promise<SegmentRow[]> {
    return (
      this.#index
        .selectFrom('segments')
        .selectAll()
        .where('device_id', '=', span.deviceId)
        .where('start_at_us', '<', span.toUs)
        // Keeps the query on its index.
        .where('start_at_us', '>', span.fromUs - MAX_SEGMENT_US)
        .where(sql<boolean>`start_at_us + duration_us > ${span.fromUs}`)
        .orderBy('start_at_us')
        .orderBy('stream_id')
        .orderBy('sequence')
        .limit(limit)
        .offset(offset)
        .execute()
    );
  }

  /** Gaps that overlap the span, by time: the first `limit` of them. */
  gaps(span: Span, limit = MAX_GAPS): Promise<GapRow[]> {
    return this.#index
      .selectFrom('gaps')
      .selectAll()
      .where('device_id', '=', span.deviceId)
      .where('start_at_us', '<', span.toUs)
      .where(sql<boolean>`start_at_us + duration_us > ${span.fromUs}`)
      .orderBy('start_at_us')
      .limit(limit)
      .execute();
  }

  /** Which streams have times that the camera estimated and no anchor has confirmed, and their boots. */
  async estimated(deviceId: string): Promise<{ streams: Set<string>; boots: Set<string> }> {
    const rows = await this.#index
      .selectFrom('streams')
      .select(['stream_id', 'boot_id'])
      .where('device_id', '=', deviceId)
      .where('time_estimated', '=', 1)
      .execute();
    return {
      streams: new Set(rows.map(({ stream_id }) => stream_id)),
      boots: new Set(rows.map(({ boot_id }) => boot_id)),
    };
  }

  async totals(deviceId: string): Promise<Totals> {
    const row = await this.#index
      .selectFrom('totals')
      .selectAll()
      .where('device_id', '=', deviceId)
      .executeTakeFirst();
    const last = await this.#index
      .selectFrom('segments')
      .select(['start_at_us', 'duration_us'])
      .where('device_id', '=', deviceId)
      .orderBy('start_at_us', 'desc')
      .limit(1)
      .executeTakeFirst();
    const lastEndUs = last ? last.start_at_us + last.duration_us : null;
    return { segments: row?.segments ?? 0, bytes: row?.bytes ?? 0, lastEndUs };
  }
}
