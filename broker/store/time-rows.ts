// Reading the times of what is stored, lost and deleted: nothing but times, page by page, in order of
// their start, so that weeks can be gone through without holding them.
import { sql } from 'kysely';
import { MAX_SEGMENT_US } from '../../proto/segment.ts';
import type { Span } from './media-rows.ts';
import type { Index, Tables } from './schema.ts';

const PAGE = 2000;

export type PieceTime = Pick<
  Tables['segments'],
  'stream_id' | 'sequence' | 'start_at_us' | 'duration_us'
>;
export type GapTime = Pick<Tables['gaps'], 'gap_id' | 'start_at_us' | 'duration_us' | 'reason'>;
export interface Stretch {
  readonly fromUs: number;
  readonly toUs: number;
}

export class TimeRows {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  /** Pieces that overlap the span. */
  async *pieces({ deviceId, fromUs, toUs }: Span): AsyncGenerator<PieceTime, void> {
    let after: PieceTime | undefined;
    do {
      const rows: PieceTime[] = await this.#index
        .selectFrom('segments')
        .select(['stream_id', 'sequence', 'start_at_us', 'duration_us'])
        .where('device_id', '=', deviceId)
        .where('start_at_us', '<', toUs)
        .where('start_at_us', '>=', after?.start_at_us ?? fromUs - MAX_SEGMENT_US)
        .where(sql<boolean>`start_at_us + duration_us > ${fromUs}`)
        .$if(after !== undefined, (query) => query.where(isAfterPiece(after)))
        .orderBy('start_at_us')
        .orderBy('stream_id')
        .orderBy('sequence')
        .limit(PAGE)
        .execute();
      yield* rows;
      after = rows.length < PAGE ? undefined : rows.at(-1);
    } while (after);
  }

  /** Gaps that overlap the span. */
  async *gaps({ deviceId, fromUs, toUs }: Span): AsyncGenerator<GapTime, void> {
    let after: GapTime | undefined;
    do {
      const rows: GapTime[] = await this.#index
        .selectFrom('gaps')
        .select(['gap_id', 'start_at_us', 'duration_us', 'reason'])
        .where('device_id', '=', deviceId)
        .where('start_at_us', '<', toUs)
        .where('start_at_us', '>=', after?.start_at_us ?? 0)
        .where(sql<boolean>`start_at_us + duration_us > ${fromUs}`)
        .$if(after !== undefined, (query) =>
          query.where(
            sql<boolean>`(start_at_us, gap_id) > (${after?.start_at_us}, ${after?.gap_id})`,
          ),
        )
        .orderBy('start_at_us')
        .orderBy('gap_id')
        .limit(PAGE)
        .execute();
      yield* rows;
      after = rows.length < PAGE ? undefined : rows.at(-1);
    } while (after);
  }

  /** What the owner deleted of the span: ranges, and single pieces beyond them. */
  async deleted({ deviceId, fromUs, toUs }: Span): Promise<Stretch[]> {
    const ranges = await this.#index
      .selectFrom('deleted_ranges')
      .select(['from_us as fromUs', 'to_us as toUs'])
      .where('device_id', '=', deviceId)
      .where('from_us', '<', toUs)
      .where('to_us', '>', fromUs)
      .execute();
    const pieces = await this.#index
      .selectFrom('tombstones')
      .select(['start_at_us', 'duration_us'])
      .where('device_id', '=', deviceId)
      .where('start_at_us', 'is not', null)
      .where('start_at_us', '<', toUs)
      .where('start_at_us', '>', fromUs - MAX_SEGMENT_US)
      .execute();
    const single = pieces.map(({ start_at_us, duration_us }) => ({
      fromUs: start_at_us ?? 0,
      toUs: (start_at_us ?? 0) + (duration_us ?? 0),
    }));
    return [...ranges, ...single].sort((one, other) => one.fromUs - other.fromUs);
  }

  /** Up to when anything is known of a camera: the latest end of a piece or gap that began by then. */
  async heardUntil(deviceId: string, nowUs: number): Promise<number> {
    const { end: pieceEnd } = await this.#index
      .selectFrom('segments')
      .select((eb) => eb.fn.max<number | null>(sql`start_at_us + duration_us`).as('end'))
      .where('device_id', '=', deviceId)
      .where('start_at_us', '<=', nowUs)
      .where('start_at_us', '>', (eb) =>
        eb
          .selectFrom('segments')
          .select((inner) =>
            sql<number>`${inner.fn.max('start_at_us')} - ${MAX_SEGMENT_US}`.as('from'),
          )
          .where('device_id', '=', deviceId)
          .where('start_at_us', '<=', nowUs),
      )
      .executeTakeFirstOrThrow();
    const { end: gapEnd } = await this.#index
      .selectFrom('gaps')
      .select((eb) => eb.fn.max<number | null>(sql`start_at_us + duration_us`).as('end'))
      .where('device_id', '=', deviceId)
      .where('start_at_us', '<=', nowUs)
      .executeTakeFirstOrThrow();
    return Math.max(pieceEnd ?? 0, gapEnd ?? 0);
  }
}

function isAfterPiece(after: PieceTime | undefined) {
  return sql<boolean>`(start_at_us, stream_id, sequence) >
    (${after?.start_at_us}, ${after?.stream_id}, ${after?.sequence})`;
}
