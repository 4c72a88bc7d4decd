// What became of every second of a camera's time.
import type { FastifyInstance } from 'fastify';
import { accountAnswer, accountOf } from '../account.ts';
import { answers, type Context, ownDevice } from '../context.ts';
import { account, deviceParams, object, spanQuery, text } from '../schemas.ts';
import { isoTime, spanOf } from '../times.ts';

export function timelineRoutes(app: FastifyInstance, context: Context): void {
  app.get<{ Params: { id: string }; Querystring: { from?: string; to?: string } }>(
    '/api/devices/:id/timeline',
    {
      schema: {
        tags: ['recordings'],
        summary:
          'What became of every second: recorded, not consented, lost, not running, not wanted, deleted',
        params: deviceParams,
        querystring: object(
          {
            from: text('ISO 8601 with zone. Absent: since the camera is yours.', 40),
            to: { ...spanQuery.to, description: 'ISO 8601 with zone, exclusive. Absent: now.' },
          },
          'from',
          'to',
        ),
        response: answers(account),
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      const nowUs = context.nowUs();
      // The clock may have been set back since.
      const begunAtUs = Math.min(device.created_at_us, nowUs - 1);
      const { from = isoTime(begunAtUs), to = isoTime(nowUs) } = request.query;
      const span = spanOf(device.device_id, { from, to });
      return accountAnswer(await accountOf(context, span, nowUs));
    },
  );
}
