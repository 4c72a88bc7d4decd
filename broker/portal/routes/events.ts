// What happened at a camera: listed, page by page, and deleted.
import type { FastifyInstance } from 'fastify';
import type { EventKind } from '../../../proto/event.ts';
import { answers, type Context, ownDevice } from '../context.ts';
import { cursorOf, parseCursor } from '../cursor.ts';
import { eventOf } from '../happenings.ts';
import {
  deviceParams,
  event,
  eventKind,
  integer,
  list,
  object,
  orNull,
  spanQuery,
  text,
} from '../schemas.ts';
import { spanOf } from '../times.ts';

interface OfDevice {
  Params: { id: string };
}
interface Asked {
  from?: string;
  to?: string;
  kind?: EventKind;
  alert?: boolean;
  limit: number;
  cursor?: string;
}

const querystring = object(
  {
    ...spanQuery,
    kind: { ...eventKind, description: 'Only those of this kind.' },
    alert: { type: 'boolean', description: 'Only those of kinds that you wanted to hear of.' },
    limit: { ...integer('Events of one answer.'), minimum: 1, maximum: 1000, default: 500 },
    cursor: text('`next` of the answer before.'),
  },
  ...['from', 'to', 'kind', 'alert', 'limit', 'cursor'],
);

export function eventRoutes(app: FastifyInstance, context: Context): void {
  app.get<OfDevice & { Querystring: Asked }>(
    '/api/devices/:id/events',
    {
      schema: {
        tags: ['events'],
        summary: 'What happened, in order of time',
        params: deviceParams,
        querystring,
        response: answers(
          object({
            events: list(event, 'Events that begin in that time.'),
            next: orNull(text('Cursor of the next page; null = this is the last.')),
          }),
        ),
      },
    },
    async (request) => {
      const { device_id } = await ownDevice(context, request);
      return page(context, device_id, request.query);
    },
  );
  app.delete<OfDevice & { Querystring: { from: string; to: string } }>(
    '/api/devices/:id/events',
    {
      schema: {
        tags: ['events'],
        summary: 'Delete every event that begins in a stretch of time, for good',
        params: deviceParams,
        querystring: object(spanQuery),
        response: answers(object({ deleted: integer('Events deleted now.') })),
      },
    },
    async (request) => {
      const { device_id } = await ownDevice(context, request);
      const span = spanOf(device_id, request.query);
      return { deleted: await context.store.deletion.events(span, context.nowUs()) };
    },
  );
}

async function page(
  { store }: Context,
  deviceId: string,
  { kind, alert, limit, cursor, ...asked }: Asked,
): Promise<Record<string, unknown>> {
  const span = spanOf(deviceId, asked);
  const after = cursor === undefined ? undefined : parseCursor(cursor);
  const rows = await store.events.list(span, limit, { kind, isAlert: alert }, after);
  const last = rows.length === limit ? rows.at(-1) : undefined;
  const estimated = await store.media.estimated(deviceId);
  return {
    events: rows.map((row) => eventOf(row, estimated)),
    next: last ? cursorOf({ startAtUs: last.start_at_us, id: last.event_id }) : null,
  };
}
