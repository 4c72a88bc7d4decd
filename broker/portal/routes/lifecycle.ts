// The end of an ownership or of an identity, by the owner.
import type { FastifyInstance } from 'fastify';
import { answers, type Context, ownDevice } from '../context.ts';
import { deviceParams, integer, object } from '../schemas.ts';
import { describe, device } from './devices.ts';

interface OfDevice {
  Params: { id: string };
}

const RECORDINGS = ['keep', 'delete'] as const;

export function lifecycleRoutes(app: FastifyInstance, context: Context): void {
  releaseRoute(app, context);
  revokeRoute(app, context);
}

function releaseRoute(app: FastifyInstance, context: Context): void {
  app.post<OfDevice & { Body: { recordings: (typeof RECORDINGS)[number] } }>(
    '/api/devices/:id/release',
    {
      schema: {
        tags: ['devices'],
        summary:
          'Give a camera away: consent ends, it forgets everything; releasedAt says when it had',
        params: deviceParams,
        body: object({
          recordings: {
            type: 'string',
            enum: [...RECORDINGS],
            description: 'What becomes of what is stored here.',
          },
        }),
        response: answers(device),
      },
    },
    async (request) => {
      const own = await ownDevice(context, request);
      const by = { actor: own.account_id, how: 'api' };
      await context.lifecycle.release(own, request.body.recordings, by);
      return describe(context, await ownDevice(context, request));
    },
  );
}

function revokeRoute(app: FastifyInstance, context: Context): void {
  app.post<OfDevice>(
    '/api/devices/:id/revoke',
    {
      schema: {
        tags: ['devices'],
        summary: 'Declare the identity of a camera void, for good; it is cut off within a second',
        params: deviceParams,
        response: answers(object({ certificates: integer('Revoked now.') })),
      },
    },
    async (request) => {
      const own = await ownDevice(context, request);
      const by = { actor: own.account_id, how: 'api' };
      return { certificates: await context.lifecycle.revoke(own, by) };
    },
  );
}
