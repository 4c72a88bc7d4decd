// What a camera notes about itself: read page by page, followed, taken along, deleted. INVARIANT: what is
// answered does no harm to a terminal, whatever the camera wrote.
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { LenscapError } from '../../../proto/errors.ts';
import { harmlessJson } from '../../../proto/harmless.ts';
import { answers, type Context, ownDevice } from '../context.ts';
import { LOG_LEVELS, type LogLevel, type LogPage, logPage } from '../log-page.ts';
import { deviceParams, integer, list, object, spanQuery, text } from '../schemas.ts';
import { spanOf } from '../times.ts';

interface OfDevice {
  Params: { id: string };
}
interface Asked {
  from?: string;
  to?: string;
  level?: LogLevel;
}

const level = { type: 'string', enum: [...LOG_LEVELS], description: 'Least level.' };
const asked = { ...spanQuery, level };
const OPTIONAL = ['from', 'to', 'level'] as const;
const CURSOR = /^\d{1,16}$/;

const batch = object({
  receivedAt: text('ISO 8601, UTC.', 40),
  dropped: integer('Lines that the camera dropped before these.'),
  lines: list(
    { type: 'object', additionalProperties: true },
    'Each with `time` and `level`; further fields by what it is about.',
  ),
});

export function logRoutes(app: FastifyInstance, context: Context): void {
  pageRoute(app, context);
  downloadRoute(app, context);
  app.delete<OfDevice & { Querystring: Asked }>(
    '/api/devices/:id/logs',
    {
      schema: {
        tags: ['logs'],
        summary: 'Delete the log of a stretch of time for good; later uploads of it are refused',
        params: deviceParams,
        querystring: object(spanQuery, 'from', 'to'),
        response: answers(object({ deleted: integer('Lines deleted now.') })),
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      const span = spanOf(device.device_id, request.query);
      return { deleted: await context.store.logs.remove(device, span, context.nowUs()) };
    },
  );
}

function pageRoute(app: FastifyInstance, context: Context): void {
  app.get<OfDevice & { Querystring: Asked & { cursor?: string } }>(
    '/api/devices/:id/logs',
    {
      schema: {
        tags: ['logs'],
        summary: 'The log, in the order of its receipt',
        params: deviceParams,
        querystring: object(
          { ...asked, cursor: text('`next` of the answer before, also to follow.') },
          ...OPTIONAL,
          'cursor',
        ),
        response: answers(
          object({
            batches: list(batch, 'What was sent together.'),
            next: text('Cursor of what comes after this, now or later.'),
            more: { type: 'boolean', description: 'Whether there is more already.' },
          }),
        ),
      },
    },
    async (request, reply) => {
      const device = await ownDevice(context, request);
      const span = spanOf(device.device_id, request.query);
      const after = afterOf(request.query.cursor);
      const page = await logPage(context.store.logs, device, span, request.query.level, after);
      reply.serializer((body) => harmlessJson(JSON.stringify(body)));
      return { ...page, next: String(page.next) };
    },
  );
}

function downloadRoute(app: FastifyInstance, context: Context): void {
  app.get<OfDevice & { Querystring: Asked }>(
    '/api/devices/:id/logs/download',
    {
      schema: {
        tags: ['logs'],
        summary: 'The log as JSON lines, to take along',
        params: deviceParams,
        querystring: object(asked, ...OPTIONAL),
      },
    },
    async (request, reply) => {
      const device = await ownDevice(context, request);
      const span = spanOf(device.device_id, request.query);
      const { level } = request.query;
      const page = (after: number) => logPage(context.store.logs, device, span, level, after);
      // The first one before the answer begins, so that what fails at once is told as an error.
      const first = await page(0);
      return reply
        .type('application/x-ndjson')
        .header('content-disposition', 'attachment; filename="camera-log.ndjson"')
        .send(Readable.from(textOf(first, page), { objectMode: false }));
    },
  );
}

async function* textOf(
  first: LogPage,
  page: (after: number) => Promise<LogPage>,
): AsyncGenerator<string, void> {
  for (let now = first; ; now = await page(now.next)) {
    for (const { receivedAt, dropped, lines } of now.batches) {
      if (dropped > 0) yield `${JSON.stringify({ receivedAt, dropped })}\n`;
      for (const line of lines) yield `${harmlessJson(JSON.stringify(line))}\n`;
    }
    if (!now.more) return;
  }
}

function afterOf(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (!CURSOR.test(cursor)) throw new LenscapError('REQUEST_INVALID', 'no such cursor');
  return Number(cursor);
}
