// What is held of what a camera told of itself: all of it, as it came, for its owner to see, take along
// and erase.
import type { FastifyInstance } from 'fastify';
import { CONFIG_STATES, type Reported } from '../../../proto/desired-config.ts';
import { type Health, SPOOL_STATES } from '../../../proto/health.ts';
import { type DeviceInfo, FIELD_OF, INFO_FIELDS, type Info } from '../../../proto/info.ts';
import type { Schema } from '../../../proto/validate.ts';
import { answers, type Context, ownDevice } from '../context.ts';
import { at, deviceParams, integer, list, object, orNull, text } from '../schemas.ts';
import { isoTime } from '../times.ts';

interface OfDevice {
  Params: { id: string };
}

const part: Schema = { type: 'string', enum: [...INFO_FIELDS] };
const number = (description: string): Schema => ({ type: 'number', description });

const info = orNull(
  object({
    receivedAt: at,
    parts: list(part, 'Parts of the policy that these fields come under.'),
    model: orNull(text('Null, like all here: not named by the policy, or not known.')),
    serial: orNull(text('Serial number.')),
    firmwareVersion: orNull(text('Of the board.')),
    agentVersion: orNull(text('Of the agent.')),
    interfaces: {
      ...list(
        object({
          name: text('As the kernel names it.'),
          mac: orNull(text('Six bytes in hex.')),
          addresses: list(text('IPv4 or IPv6.'), 'Of the interface.'),
        }),
        'Network interfaces that are up.',
      ),
      type: ['array', 'null'],
    },
    storage: orNull(object({ totalBytes: integer('Bytes.'), freeBytes: integer('Bytes.') })),
  }),
);

const health = orNull(
  object({
    receivedAt: at,
    part,
    spool: object({
      state: { type: 'string', enum: [...SPOOL_STATES], description: 'Where it keeps what waits.' },
      code: orNull(text('Why it is in memory only, where power takes it.')),
      items: integer('Pieces and gaps that wait.'),
      bytes: integer('Of them.'),
    }),
    temperatureCelsius: orNull(number('Of the hottest sensor; null, here and below: not known.')),
    memoryTotalBytes: integer('Bytes.'),
    memoryAvailableBytes: integer('Bytes.'),
    cpuPercent: integer('Of all cores.'),
    flashWearPercent: orNull(integer('Of its life that is used up.')),
    clockOffsetMs: orNull(integer('Clock of the camera less that of the server.')),
    framesCaptured: integer('Since its agent started, as all counts.'),
    framesDropped: integer('Missing at their time: late, or lost before they were encoded.'),
    segmentsSent: integer('Pieces.'),
    bytesSent: integer('Bytes.'),
    roundTripMs: orNull(integer('Of a small message.')),
    connectionsLost: integer('Connections.'),
    signalDbm: orNull(integer('Received power.')),
    uptimeS: integer('Seconds since its agent started.'),
  }),
);

const reported = orNull(
  object({
    receivedAt: at,
    part,
    version: integer('Of the configuration that is spoken of.'),
    state: { type: 'string', enum: [...CONFIG_STATES], description: 'What became of it.' },
    inForce: integer('Version in force; 0 = none but the own one of the board.'),
    at,
    code: orNull(text('Why it is not in force.')),
    detail: text('The same for people.', 500),
    faults: list(
      object({ path: text('JSON pointer.', 256), message: text('What is.', 256) }),
      'Of it.',
    ),
    settings: { type: 'object', additionalProperties: true, description: 'All in force.' },
  }),
);

const held = object({
  parts: list(part, 'Parts of device information that you agreed to; no others are kept.'),
  info,
  health,
  reported,
});

export function deviceInfoRoutes(app: FastifyInstance, context: Context): void {
  const tags = ['devices'];
  const params = deviceParams;
  app.get<OfDevice>(
    '/api/devices/:id/info',
    {
      schema: {
        tags,
        summary: 'All that is held of what a camera told of itself',
        params,
        response: answers(held),
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      const { parts } = await context.consent.infoInForce(device.device_id);
      const told = await context.store.told.of(device);
      const receivedAt = (us: number) => ({ receivedAt: isoTime(us) });
      return {
        parts,
        info: told.info && { ...receivedAt(told.info.receivedAtUs), ...infoOf(told.info.message) },
        health: told.health && {
          ...receivedAt(told.health.receivedAtUs),
          ...healthOf(told.health.message),
        },
        reported: told.reported && {
          ...receivedAt(told.reported.receivedAtUs),
          ...reportedOf(told.reported.message),
        },
      };
    },
  );
  app.delete<OfDevice>(
    '/api/devices/:id/info',
    {
      schema: {
        tags,
        summary: 'Erase it; while you consent, the camera tells anew when something changes',
        params,
        response: answers(object({ deleted: integer('Kinds of which there was something.') })),
      },
    },
    async (request) => {
      const { device_id } = await ownDevice(context, request);
      return { deleted: await context.store.told.erase(device_id) };
    },
  );
}

function infoOf({ epoch: _, ...fields }: Info): Record<string, unknown> {
  const isTold = (key: keyof DeviceInfo): boolean => fields[key] !== null;
  const keys = Object.keys(FIELD_OF).filter((key): key is keyof DeviceInfo => key in fields);
  return { parts: keys.filter(isTold).map((key) => FIELD_OF[key]), ...fields };
}

function healthOf({ spool, vitals }: Health): Record<string, unknown> {
  return { part: 'health', spool, ...vitals };
}

function reportedOf({ epoch: _, atUs, settings, ...rest }: Reported): Record<string, unknown> {
  return { part: 'configuration', at: isoTime(atUs), ...rest, settings: JSON.parse(settings) };
}
