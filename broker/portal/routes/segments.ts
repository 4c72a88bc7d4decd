// What is stored of a camera: listed, page by page, and deleted.
import type { FastifyInstance } from 'fastify';
import { LenscapError } from '../../../proto/errors.ts';
import type { SegmentRow } from '../../store/media-rows.ts';
import { answers, type Context, ownDevice } from '../context.ts';
import { type Estimated, gapOf } from '../manifest.ts';
import type { Position } from '../recordings.ts';
import {
  deviceParams,
  gap,
  integer,
  list,
  object,
  orNull,
  segment,
  sequence,
  spanQuery,
  streamId,
  text,
} from '../schemas.ts';
import { gapsWithin } from '../timeline.ts';
import { isoTime, spanOf } from '../times.ts';

interface OfDevice {
  Params: { id: string };
}
interface Asked {
  from?: string;
  to?: string;
}

export function segmentRoutes(app: FastifyInstance, context: Context): void {
  listRoute(app, context);
  deleteRoutes(app, context);
}

function listRoute(app: FastifyInstance, context: Context): void {
  const { recordings, store } = context;
  app.get<OfDevice & { Querystring: Asked & { limit: number; cursor?: string } }>(
    '/api/devices/:id/segments',
    {
      schema: {
        tags: ['recordings'],
        summary: 'Pieces stored, and gaps, in order of time',
        params: deviceParams,
        querystring: object(
          {
            ...spanQuery,
            limit: { ...integer('Pieces of one answer.'), minimum: 1, maximum: 1000, default: 500 },
            cursor: text('`next` of the answer before.'),
          },
          'from',
          'to',
          'limit',
          'cursor',
        ),
        response: answers(
          object({
            segments: list(segment, 'Pieces.'),
            gaps: list(gap, 'Stretches within the time of this page that were not recorded.'),
            next: orNull(text('Cursor of the next page; null = this is the last.')),
          }),
        ),
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      const { limit, cursor } = request.query;
      const span = spanOf(device.device_id, request.query);
      const after = cursor === undefined ? undefined : parseCursor(cursor);
      const rows = await recordings.page(span, limit, after);
      const last = rows.length === limit ? rows.at(-1) : undefined;
      const toUs = last ? last.start_at_us : span.toUs;
      const fromUs = after?.start_at_us ?? span.fromUs;
      const estimated = await store.media.estimated(device.device_id);
      const gaps = fromUs < toUs ? await store.media.gaps({ ...span, fromUs, toUs }) : [];
      return {
        segments: rows.map((row) => segmentOf(row, estimated)),
        // A gap is told once, on the page on which it begins.
        gaps: gapsWithin(gaps, fromUs, toUs)
          .filter(({ start_at_us }) => !after || start_at_us >= fromUs)
          .map((gap) => gapOf(gap, estimated)),
        next: last ? cursorOf(last) : null,
      };
    },
  );
}

function deleteRoutes(app: FastifyInstance, context: Context): void {
  const { store, nowUs } = context;
  const response = answers(object({ deleted: integer('Pieces deleted now, for good.') }));
  app.delete<{ Params: { id: string; stream: string; sequence: number } }>(
    '/api/devices/:id/segments/:stream/:sequence',
    {
      schema: {
        tags: ['recordings'],
        summary: 'Delete one piece for good',
        params: object({ id: text('Device id.'), stream: streamId, sequence }),
        response,
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      const { stream, sequence: number } = request.params;
      if (!(await store.deletion.segment(device.device_id, stream, number, nowUs())))
        throw new LenscapError('NOT_FOUND', `no piece ${stream}/${number} is stored`);
      return { deleted: 1 };
    },
  );
  app.delete<OfDevice & { Querystring: { from: string; to: string } }>(
    '/api/devices/:id/segments',
    {
      schema: {
        tags: ['recordings'],
        summary:
          'Delete every piece, snapshot and event that begins in a stretch of time, for good',
        params: deviceParams,
        querystring: object(spanQuery),
        response,
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      const span = spanOf(device.device_id, request.query);
      return { deleted: await store.deletion.range(span, nowUs()) };
    },
  );
}

function segmentOf(row: SegmentRow, { streams }: Estimated): Record<string, unknown> {
  return {
    streamId: row.stream_id,
    sequence: row.sequence,
    startAt: isoTime(row.start_at_us),
    startAtUs: row.start_at_us,
    durationUs: row.duration_us,
    bytes: row.media_bytes,
    sha256: row.sha256,
    epoch: row.epoch,
    scopes: row.scopes.split(','),
    timeCorrectedUs: row.corrected_us,
    timeEstimated: streams.has(row.stream_id),
    receivedAt: isoTime(row.received_at_us),
  };
}

function cursorOf({ start_at_us, stream_id, sequence: number }: SegmentRow): string {
  return `${start_at_us}.${stream_id}.${number}`;
}

function parseCursor(cursor: string): Position {
  const [, start, stream, number] = /^(\d{1,16})\.([0-9a-f]{32})\.(\d{1,16})$/.exec(cursor) ?? [];
  if (stream === undefined) throw new LenscapError('REQUEST_INVALID', 'no such cursor');
  return { start_at_us: Number(start), stream_id: stream, sequence: Number(number) };
}
