// Which kinds of events an owner wants to be alerted of.
import type { FastifyInstance } from 'fastify';
import { EVENT_KINDS, type EventKind } from '../../../proto/event.ts';
import { answers, type Context, ownDevice } from '../context.ts';
import { deviceParams, eventKind, list, object } from '../schemas.ts';

interface OfDevice {
  Params: { id: string };
}

const chosen = object({
  kinds: {
    ...list(eventKind, 'Kinds of events.'),
    maxItems: EVENT_KINDS.length,
    uniqueItems: true,
  },
});

export function alertRoutes(app: FastifyInstance, context: Context): void {
  const { events } = context.store;
  app.get<OfDevice>(
    '/api/devices/:id/alerts',
    {
      schema: {
        tags: ['events'],
        summary: 'Which kinds of events you want to be alerted of',
        params: deviceParams,
        response: answers(chosen),
      },
    },
    async (request) => {
      const { device_id } = await ownDevice(context, request);
      return { kinds: await events.alertKinds(device_id) };
    },
  );
  app.put<OfDevice & { Body: { kinds: EventKind[] } }>(
    '/api/devices/:id/alerts',
    {
      schema: {
        tags: ['events'],
        summary: 'Choose the kinds of events to be alerted of, from now on',
        params: deviceParams,
        body: chosen,
        response: answers(chosen),
      },
    },
    async (request) => {
      const { device_id } = await ownDevice(context, request);
      await events.setAlertKinds(device_id, request.body.kinds);
      return { kinds: await events.alertKinds(device_id) };
    },
  );
}
