// The owner's cameras and how they are.
import type { FastifyInstance } from 'fastify';
import { SPOOL_STATES } from '../../../proto/health.ts';
import { SCOPES } from '../../../proto/scopes.ts';
import { STATES } from '../../fleet/states.ts';
import type { DeviceRow } from '../../store/devices.ts';
import { NOTHING_TOLD } from '../../store/told.ts';
import { answers, type Context, ownDevice, who } from '../context.ts';
import { at, deviceParams, integer, list, object, orNull, scopes, text } from '../schemas.ts';
import { isoTime } from '../times.ts';

export const device = object({
  id: text('Device id.'),
  name: text('Given when it was claimed.'),
  state: { type: 'string', enum: [...STATES], description: 'Where it is in its life.' },
  stateReason: orNull(text('Why, where the state alone does not say it, e.g. `clone`.')),
  releasedAt: orNull({ ...at, description: 'When it confirmed that it forgot everything.' }),
  certificateEnd: orNull({ ...at, description: 'Of its identity; null = it has none in force.' }),
  agentVersion: orNull(text('Only while you consent to device_info.')),
  spool: {
    ...object({
      state: { type: 'string', enum: [...SPOOL_STATES], description: 'Where it keeps what waits.' },
      code: orNull(text('Why it is in memory only, where power takes it.')),
      items: integer('Pieces and gaps that waited when it last said so.'),
      bytes: integer('Of them.'),
    }),
    type: ['object', 'null'],
    description: 'What waits on the camera; only while you consent to device_info.',
  },
  labels: {
    type: 'object',
    additionalProperties: { type: 'string' },
    description: 'What the operator of the service calls it by.',
  },
  createdAt: at,
  connected: { type: 'boolean', description: 'Whether it is connected now.' },
  lastSeenAt: orNull(at),
  cap: {
    type: 'string',
    enum: ['on', 'off'],
    description: 'off = pictures may be recorded or taken.',
  },
  scopes,
  epoch: integer('Consent epoch in force.'),
  appliedEpoch: integer('Consent epoch that the camera says it obeys; 0 before the first.'),
  segments: integer('Pieces stored.'),
  bytes: integer('Of media stored.'),
  lastSegmentEndAt: orNull(at),
});

export function deviceRoutes(app: FastifyInstance, context: Context): void {
  app.get(
    '/api/devices',
    {
      schema: {
        tags: ['devices'],
        summary: 'Your cameras',
        response: answers(object({ devices: list(device, 'In the order in which they came.') })),
      },
    },
    async (request) => {
      const rows = await context.store.devices.ofAccount(who(request).account.account_id);
      return { devices: await Promise.all(rows.map((row) => describe(context, row))) };
    },
  );
  app.get<{ Params: { id: string } }>(
    '/api/devices/:id',
    {
      schema: {
        tags: ['devices'],
        summary: 'One camera',
        params: deviceParams,
        response: answers(device),
      },
    },
    async (request) => describe(context, await ownDevice(context, request)),
  );
}

/** A camera as its owner sees it. */
export async function describe(
  { store, overview, isConnected }: Context,
  row: DeviceRow,
): Promise<Record<string, unknown>> {
  const ends = await overview.certificateEnds(row.device_id);
  const { granted, epoch } = await store.consent.standing(row.device_id);
  const totals = await store.media.totals(row.device_id);
  // What does not open is an error of its own address and does not hide the camera.
  const told = granted.has('device_info')
    ? await store.told.of(row).catch(() => NOTHING_TOLD)
    : NOTHING_TOLD;
  return {
    id: row.device_id,
    name: row.name,
    state: row.state,
    stateReason: row.state_reason,
    releasedAt: isoOrNull(row.released_at_us),
    certificateEnd: isoOrNull(ends.get(row.device_id) ?? null),
    agentVersion: told.info?.message.agentVersion ?? null,
    spool: told.health?.message.spool ?? null,
    labels: await store.labels.of(row.device_id),
    createdAt: isoTime(row.created_at_us),
    connected: isConnected(row.device_id),
    lastSeenAt: isoOrNull(row.last_seen_at_us),
    cap: granted.has('video') || granted.has('snapshot') ? 'off' : 'on',
    scopes: SCOPES.filter((scope) => granted.has(scope)),
    epoch,
    appliedEpoch: row.applied_epoch,
    segments: totals.segments,
    bytes: totals.bytes,
    lastSegmentEndAt: isoOrNull(totals.lastEndUs),
  };
}

export function isoOrNull(us: number | null): string | null {
  return us === null ? null : isoTime(us);
}
