// The configuration of a camera: shown beside what the camera says of it, changed by merge patch, its
// history, and any version of it brought back.
import type { FastifyInstance } from 'fastify';
import { deviceConfigSchema, type JsonObject } from '../../../proto/device-config.ts';
import type { Version } from '../../fleet/configuration.ts';
import { KEPT_VERSIONS } from '../../store/config-rows.ts';
import type { DeviceRow } from '../../store/devices.ts';
import {
  describeReported,
  describeVersion,
  entrySchema,
  stateSchema,
  versionSchema,
} from '../config-state.ts';
import { answers, type Context, ownDevice } from '../context.ts';
import { deviceParams, integer, list, object, text } from '../schemas.ts';

interface OfDevice {
  Params: { id: string };
}

/** So that what is far too much is told by its faults; beyond it the request is not read. */
const MAX_BODY_BYTES = 256 * 1024;
const API = 'api';

const version = { minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
const seen = { ...integer('The version that you looked at; 0 before the first.'), ...version };
const kept = { ...integer('A version of the history.'), ...version, minimum: 1 };

export function configRoutes(app: FastifyInstance, context: Context): void {
  stateRoute(app, context);
  changeRoutes(app, context);
  historyRoutes(app, context);
  schemaRoute(app);
}

function stateRoute(app: FastifyInstance, context: Context): void {
  app.get<OfDevice>(
    '/api/devices/:id/config',
    {
      schema: {
        tags: ['configuration'],
        summary: 'What is wanted of a camera, what it says, and where they differ',
        params: deviceParams,
        response: answers(stateSchema),
      },
    },
    async (request) => {
      const own = await ownDevice(context, request);
      return describeState(context, own, await context.configuration.current(own));
    },
  );
}

function changeRoutes(app: FastifyInstance, context: Context): void {
  const common = { tags: ['configuration'], params: deviceParams, response: answers(stateSchema) };
  app.patch<OfDevice & { Body: { version: number; patch: JsonObject } }>(
    '/api/devices/:id/config',
    {
      bodyLimit: MAX_BODY_BYTES,
      schema: {
        ...common,
        summary: 'Change it by a merge patch (RFC 7396); null removes, so that the board decides',
        body: object({
          version: seen,
          patch: {
            type: 'object',
            additionalProperties: true,
            description: 'Of the document; its schema is GET /api/config-schema.',
          },
        }),
      },
    },
    async (request) => {
      const own = await ownDevice(context, request);
      const { version: sawVersion, patch } = request.body;
      const by = { actor: own.account_id, how: API };
      const change = { patch, seen: sawVersion };
      return describeState(context, own, await context.configuration.update(own, change, by));
    },
  );
  app.post<OfDevice & { Body: { version: number; seen: number } }>(
    '/api/devices/:id/config/restore',
    {
      schema: {
        ...common,
        summary: 'Bring a version back, as a new one',
        body: object({ version: kept, seen }),
      },
    },
    async (request) => {
      const own = await ownDevice(context, request);
      const by = { actor: own.account_id, how: API };
      return describeState(
        context,
        own,
        await context.configuration.restore(own, request.body, by),
      );
    },
  );
}

function historyRoutes(app: FastifyInstance, context: Context): void {
  const common = { tags: ['configuration'] };
  app.get<OfDevice & { Querystring: { before?: number; limit: number } }>(
    '/api/devices/:id/config/history',
    {
      schema: {
        ...common,
        summary: 'Who changed what, and when; the newest first, each with its whole document',
        params: deviceParams,
        querystring: object(
          {
            before: { ...kept, description: 'Only versions below it.' },
            limit: { ...integer('At most.'), minimum: 1, maximum: KEPT_VERSIONS, default: 50 },
          },
          'before',
          'limit',
        ),
        response: answers(object({ versions: list(entrySchema, 'The last 200 are kept.') })),
      },
    },
    async (request) => {
      const own = await ownDevice(context, request);
      const { before = Number.MAX_SAFE_INTEGER, limit } = request.query;
      const entries = await context.configuration.history(own, before, limit);
      return {
        versions: entries.map(({ paths, ...entry }) => ({
          ...describeVersion(entry, own.account_id),
          paths,
        })),
      };
    },
  );
  app.get<{ Params: { id: string; version: number } }>(
    '/api/devices/:id/config/versions/:version',
    {
      schema: {
        ...common,
        summary: 'One version',
        params: object({ id: text('Device id.'), version: kept }),
        response: answers(versionSchema),
      },
    },
    async (request) => {
      const own = await ownDevice(context, request);
      const found = await context.configuration.at(own, request.params.version);
      return describeVersion(found, own.account_id);
    },
  );
}

/** The one that documents are held to, here and on cameras. */
function schemaRoute(app: FastifyInstance): void {
  app.get(
    '/api/config-schema',
    {
      schema: {
        tags: ['configuration'],
        summary: 'What can be changed of a camera: names, units, ranges',
        response: answers({ type: 'object', additionalProperties: true }),
      },
    },
    async () => deviceConfigSchema,
  );
}

async function describeState(
  { store, consent, isConnected }: Context,
  own: DeviceRow,
  wanted: Version,
): Promise<Record<string, unknown>> {
  const { parts } = await consent.infoInForce(own.device_id);
  const shared = parts.includes('configuration');
  const answered = shared ? await store.told.reported(own) : null;
  return {
    ...describeVersion(wanted, own.account_id),
    ...{ shared, connected: isConnected(own.device_id) },
    ...describeReported(wanted, answered),
  };
}
