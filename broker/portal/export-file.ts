// One MP4 out of what is stored of a span: a plan first, since the head of the file names every
// stream and the length, then segment after segment. Never more than one segment in memory.
import { LenscapError } from '../../proto/errors.ts';
import type { DeviceRow } from '../store/devices.ts';
import type { EventRow, EventRows } from '../store/event-rows.ts';
import type { GapRow, MediaRows, SegmentRow, Span } from '../store/media-rows.ts';
import type { SnapshotRow, SnapshotRows } from '../store/snapshot-rows.ts';
import { ExportPlan, type Opener } from './export-plan.ts';
import { rewriteSegment } from './mp4/fragment.ts';
import { mergeInits, type TrackMap } from './mp4/init.ts';
import type { Recordings } from './recordings.ts';
import { inRuns } from './runs.ts';

/** Bounds how long one request works, and the length of its manifest. */
export const MAX_EXPORT_SEGMENTS = 200_000;

/** Bounds the length of a manifest as well; a camera whose source comes and goes has thousands. */
const MAX_EXPORT_GAPS = 50_000;
/** Events, and snapshots, of one manifest. */
const MAX_HAPPENINGS = 50_000;

export interface ExportRequest {
  readonly device: DeviceRow;
  readonly span: Span;
  /** Only what had been received by then, so that file and manifest speak of the same. */
  readonly asOfUs: number;
}

/** Segments of an export, run after run. @throws REQUEST_INVALID when there are too many. */
export async function* exportRows(
  recordings: Recordings,
  { span, asOfUs }: ExportRequest,
): AsyncGenerator<SegmentRow, void> {
  let count = 0;
  for await (const row of inRuns(recordings.rows(span))) {
    if (row.received_at_us > asOfUs) continue;
    count += 1;
    if (count > MAX_EXPORT_SEGMENTS)
      throw new LenscapError(
        'REQUEST_INVALID',
        `more than ${MAX_EXPORT_SEGMENTS} pieces at once; export the time in parts`,
      );
    yield row;
  }
}

/** Every gap of an export. @throws REQUEST_INVALID when there are too many: none is left out unsaid. */
export async function exportGaps(
  media: Pick<MediaRows, 'gaps'>,
  { span }: ExportRequest,
): Promise<GapRow[]> {
  const gaps = await media.gaps(span, MAX_EXPORT_GAPS + 1);
  if (gaps.length > MAX_EXPORT_GAPS)
    throw new LenscapError(
      'REQUEST_INVALID',
      `more than ${MAX_EXPORT_GAPS} gaps at once; export the time in parts`,
    );
  return gaps;
}

/** Every event of an export. @throws REQUEST_INVALID when there are too many. */
export async function exportEvents(
  events: Pick<EventRows, 'list'>,
  { span, asOfUs }: ExportRequest,
): Promise<EventRow[]> {
  return notTooMany('events', await events.list(span, MAX_HAPPENINGS + 1, { asOfUs }));
}

/** Every snapshot of an export; the pictures are taken along one by one. @throws REQUEST_INVALID. */
export async function exportSnapshots(
  snapshots: Pick<SnapshotRows, 'list'>,
  { span, asOfUs }: ExportRequest,
): Promise<SnapshotRow[]> {
  const rows = await snapshots.list(span, MAX_HAPPENINGS + 1, undefined, asOfUs);
  return notTooMany('snapshots', rows);
}

function notTooMany<T>(what: string, rows: T[]): T[] {
  if (rows.length > MAX_HAPPENINGS)
    throw new LenscapError(
      'REQUEST_INVALID',
      `more than ${MAX_HAPPENINGS} ${what} at once; export the time in parts`,
    );
  return rows;
}

/** Opens segments and inits of one device for a plan; keeps the last two segments read. */
export function openerOf(recordings: Recordings, device: DeviceRow): Opener {
  const last = new Map<string, Buffer>();
  return {
    media: async (row) => {
      const known = last.get(row.blob_id);
      if (known) return known;
      const media = await recordings.media(device, row);
      last.set(row.blob_id, media);
      const [oldest] = last.keys();
      if (last.size > 2 && oldest !== undefined) last.delete(oldest);
      return media;
    },
    init: async (streamId) => (await recordings.stream(device, streamId)).init,
  };
}

/**
 * The head is made before anything is sent, so that its errors can still be answered.
 * @throws NOT_FOUND when nothing is stored of the span; STORE_CORRUPT; REQUEST_INVALID.
 */
export async function openExport(
  recordings: Recordings,
  request: ExportRequest,
): Promise<{ head: Buffer; body: AsyncGenerator<Buffer, void> }> {
  const open = openerOf(recordings, request.device);
  const plan = new ExportPlan(open);
  const streamIds = new Set<string>();
  for await (const { row } of plan.place(exportRows(recordings, request)))
    streamIds.add(row.stream_id);
  if (streamIds.size === 0) throw nothingStored();
  const inits: Buffer[] = [];
  for (const streamId of streamIds) inits.push(await open.init(streamId));
  const { init, maps } = mergeInits(inits, Math.ceil(plan.durationUs / 1000));
  const tracks = new Map([...streamIds].map((streamId, at) => [streamId, maps[at] ?? new Map()]));
  return { head: init, body: exportBody(exportRows(recordings, request), open, tracks) };
}

export function nothingStored(): LenscapError {
  return new LenscapError('NOT_FOUND', 'nothing is stored of that time; see `segments`');
}

type StreamTracks = ReadonlyMap<string, TrackMap>;

async function* exportBody(
  rows: AsyncIterable<SegmentRow>,
  open: Opener,
  tracks: StreamTracks,
): AsyncGenerator<Buffer, void> {
  const plan = new ExportPlan(open);
  let fragment = 0;
  const nextFragment = (): number => {
    fragment += 1;
    return fragment;
  };
  for await (const { row, shiftUs } of plan.place(stillThere(rows, open, tracks)))
    yield* rewriteSegment(await open.media(row), {
      tracks: tracks.get(row.stream_id) ?? new Map(),
      shift: ({ timescale }) => Math.ceil((shiftUs * timescale) / 1_000_000),
      nextFragment,
    });
}

/** Leaves out what the owner deleted, and streams that came, while the export runs. */
async function* stillThere(
  rows: AsyncIterable<SegmentRow>,
  open: Opener,
  tracks: StreamTracks,
): AsyncGenerator<SegmentRow, void> {
  for await (const row of rows) {
    if (!tracks.has(row.stream_id)) continue;
    try {
      await open.media(row);
    } catch (error) {
      if (error instanceof LenscapError && error.code === 'NOT_FOUND') continue;
      throw error;
    }
    yield row;
  }
}
