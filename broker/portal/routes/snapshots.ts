// Still pictures of a camera: listed, shown, deleted, and asked for.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { LenscapError } from '../../../proto/errors.ts';
import { answers, type Context, ownDevice, who } from '../context.ts';
import { cursorOf, parseCursor } from '../cursor.ts';
import { snapshotOf } from '../happenings.ts';
import {
  deviceParams,
  integer,
  list,
  object,
  orNull,
  snapshot,
  snapshotId,
  spanQuery,
  text,
} from '../schemas.ts';
import { takeSnapshot } from '../taking.ts';
import { spanOf } from '../times.ts';

interface OfDevice {
  Params: { id: string };
}
interface One {
  Params: { id: string; snapshot: string };
}
interface Asked {
  from?: string;
  to?: string;
  limit: number;
  cursor?: string;
}

const oneParams = object({ id: text('Device id.'), snapshot: snapshotId });
const deleted = answers(object({ deleted: integer('Snapshots deleted now, for good.') }));
const TAGS = ['snapshots'];

export function snapshotRoutes(app: FastifyInstance, context: Context): void {
  listRoute(app, context);
  pictureRoute(app, context);
  takeRoute(app, context);
  deleteRoutes(app, context);
}

function listRoute(app: FastifyInstance, { store, ...context }: Context): void {
  app.get<OfDevice & { Querystring: Asked }>(
    '/api/devices/:id/snapshots',
    {
      schema: {
        tags: TAGS,
        summary: 'Snapshots stored, in order of time',
        params: deviceParams,
        querystring: object(
          {
            ...spanQuery,
            limit: { ...integer('Of one answer.'), minimum: 1, maximum: 1000, default: 500 },
            cursor: text('`next` of the answer before.'),
          },
          ...['from', 'to', 'limit', 'cursor'],
        ),
        response: answers(
          object({
            snapshots: list(snapshot, 'Snapshots taken in that time.'),
            next: orNull(text('Cursor of the next page; null = this is the last.')),
          }),
        ),
      },
    },
    async (request) => {
      const { device_id } = await ownDevice({ store, ...context }, request);
      const { limit, cursor, ...asked } = request.query;
      const after = cursor === undefined ? undefined : parseCursor(cursor);
      const rows = await store.snapshots.list(spanOf(device_id, asked), limit, after);
      const last = rows.length === limit ? rows.at(-1) : undefined;
      const estimated = await store.media.estimated(device_id);
      return {
        snapshots: rows.map((row) => snapshotOf(row, estimated)),
        next: last ? cursorOf({ startAtUs: last.start_at_us, id: last.snapshot_id }) : null,
      };
    },
  );
}

function pictureRoute(app: FastifyInstance, context: Context): void {
  app.get<One>(
    '/api/devices/:id/snapshots/:snapshot',
    { schema: { tags: TAGS, summary: 'The picture, as JPEG', params: oneParams } },
    async (request, reply) => {
      const device = await ownDevice(context, request);
      const { snapshot: wanted } = request.params;
      const row = await context.store.snapshots.byId(device.device_id, wanted);
      if (!row) throw new LenscapError('NOT_FOUND', `no snapshot ${wanted} is stored`);
      const picture = await context.recordings.picture(device, row);
      return reply
        .type('image/jpeg')
        .header('cache-control', 'private, no-store')
        .header('content-disposition', `attachment; filename="${row.snapshot_id}.jpg"`)
        .send(picture);
    },
  );
}

function takeRoute(app: FastifyInstance, context: Context): void {
  const { config } = context;
  const ofOwner = (request: FastifyRequest): string => who(request).account.account_id;
  app.post<OfDevice>(
    '/api/devices/:id/snapshots',
    {
      config: {
        rateLimit: {
          max: config.snapshotsPerMinute,
          timeWindow: 60_000,
          keyGenerator: ofOwner,
        },
      },
      schema: {
        tags: TAGS,
        summary: 'Have the camera take a picture now; answers when it is stored',
        params: deviceParams,
        response: answers(snapshot),
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      const { socket } = request.raw;
      const gone = new AbortController();
      const leave = (): void => gone.abort();
      socket.once('close', leave);
      try {
        const row = await takeSnapshot(context, device, gone.signal);
        return snapshotOf(row, await context.store.media.estimated(device.device_id));
      } finally {
        socket.off('close', leave);
      }
    },
  );
}

function deleteRoutes(app: FastifyInstance, context: Context): void {
  const { store, nowUs } = context;
  app.delete<One>(
    '/api/devices/:id/snapshots/:snapshot',
    {
      schema: {
        tags: TAGS,
        summary: 'Delete a snapshot for good',
        params: oneParams,
        response: deleted,
      },
    },
    async (request) => {
      const { device_id } = await ownDevice(context, request);
      const { snapshot: wanted } = request.params;
      if (!(await store.deletion.snapshot(device_id, wanted, nowUs())))
        throw new LenscapError('NOT_FOUND', `no snapshot ${wanted} is stored`);
      return { deleted: 1 };
    },
  );
  app.delete<OfDevice & { Querystring: { from: string; to: string } }>(
    '/api/devices/:id/snapshots',
    {
      schema: {
        tags: TAGS,
        summary: 'Delete every snapshot taken in a stretch of time, for good',
        params: deviceParams,
        querystring: object(spanQuery),
        response: deleted,
      },
    },
    async (request) => {
      const { device_id } = await ownDevice(context, request);
      const span = spanOf(device_id, request.query);
      return { deleted: await store.deletion.snapshots(span, nowUs()) };
    },
  );
}
