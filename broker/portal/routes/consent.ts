// Consent by its owner: shown, given, withdrawn, and taken along as a receipt. A withdrawal is
// answered only when it is durable, and is never refused for its form.
import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { LenscapError } from '../../../proto/errors.ts';
import { SCOPES, type Scope } from '../../../proto/scopes.ts';
import type { LedgerRecord } from '../../consent/ledger.ts';
import { makeReceipt } from '../../consent/receipt.ts';
import type { DeviceRow } from '../../store/devices.ts';
import { answers, type Context, ownDevice } from '../context.ts';
import {
  at,
  deviceParams,
  integer,
  list,
  object,
  orNull,
  policyReference,
  record,
  scopes,
  sha256,
  text,
} from '../schemas.ts';
import { isoTime } from '../times.ts';
import { isoOrNull } from './devices.ts';

interface OfDevice {
  Params: { id: string };
}

const inForce = object({ version: integer('Grows with each publication.'), sha256 });
const state = object({
  epoch: integer('In force.'),
  event: text('What brought it about.'),
  at,
  scopes,
  policy: policyReference,
  policyInForce: inForce,
  appliedEpoch: integer('Epoch that the camera says it obeys.'),
  appliedAt: orNull(at),
});

export function consentRoutes(app: FastifyInstance, context: Context): void {
  policyRoute(app, context);
  changeRoutes(app, context);
  readRoutes(app, context);
}

function policyRoute(app: FastifyInstance, { consent }: Context): void {
  app.get(
    '/api/policy',
    {
      schema: {
        tags: ['consent'],
        summary: 'The policy in force',
        response: answers(
          object({
            version: integer('Grows with each publication.'),
            sha256,
            document: { type: 'object', additionalProperties: true },
          }),
        ),
      },
    },
    async () => {
      const { document, sha256: hash } = await consent.policy();
      return { version: document.version, sha256: hash, document };
    },
  );
}

function changeRoutes(app: FastifyInstance, context: Context): void {
  const common = { tags: ['consent'], params: deviceParams, response: answers(state) };
  app.post<OfDevice & { Body: { scopes: Scope[]; policySha256: string } }>(
    '/api/devices/:id/consent/grant',
    {
      schema: {
        ...common,
        summary: 'Consent to kinds of data under the policy with this SHA-256',
        body: object({ scopes: { ...scopes, minItems: 1 }, policySha256: sha256 }),
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      const { scopes: asked, policySha256 } = request.body;
      const by = { actor: device.account_id, how: 'api' };
      return stateOf(context, device, await context.consent.grant(device, asked, policySha256, by));
    },
  );
  app.post<OfDevice & { Body: { scopes?: Scope[] } | null }>(
    '/api/devices/:id/consent/withdraw',
    {
      schema: {
        ...common,
        summary: 'Withdraw kinds of data, or all; answered when it is durable',
        body: { ...object({ scopes }, 'scopes'), type: ['object', 'null'] },
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      const asked = request.body?.scopes ?? SCOPES;
      const by = { actor: device.account_id, how: 'api' };
      return stateOf(context, device, await context.consent.withdraw(device, asked, by));
    },
  );
}

function readRoutes(app: FastifyInstance, context: Context): void {
  const common = { tags: ['consent'], params: deviceParams };
  const { consent, store, consentPublicKey, nowUs } = context;
  app.get<OfDevice>(
    '/api/devices/:id/consent',
    { schema: { ...common, summary: 'Consent in force', response: answers(state) } },
    async (request) => {
      const device = await ownDevice(context, request);
      return stateOf(context, device, await consent.current(device.device_id));
    },
  );
  app.get<OfDevice>(
    '/api/devices/:id/consent/log',
    {
      schema: {
        ...common,
        summary: 'Every record of consent, the first one first',
        response: answers(object({ records: list(record, 'The whole ledger of the camera.') })),
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      return { records: await ownRecords(context, device) };
    },
  );
  app.get<OfDevice>(
    '/api/devices/:id/consent/receipt',
    {
      schema: {
        ...common,
        summary: 'A receipt that can be checked without this server',
        response: answers({ type: 'object', additionalProperties: true }),
      },
    },
    async (request) => {
      const device = await ownDevice(context, request);
      const stamp = { receiptId: randomUUID(), issuedAt: isoTime(nowUs()) };
      return makeReceipt(store.consent, device.device_id, consentPublicKey, stamp);
    },
  );
}

/** @throws NOT_FOUND for a device whose owner was never recorded. */
async function ownRecords({ consent }: Context, device: DeviceRow): Promise<LedgerRecord[]> {
  const records = await consent.log(device.device_id);
  if (records.length === 0) throw new LenscapError('NOT_FOUND', 'no consent record of this camera');
  return records;
}

async function stateOf(
  { consent, store }: Context,
  device: DeviceRow,
  { epoch, event, at: since, scopes: held, policy }: LedgerRecord,
): Promise<Record<string, unknown>> {
  const now = await store.devices.byId(device.device_id);
  const { document, sha256: hash } = await consent.policy();
  return {
    epoch,
    event,
    at: since,
    scopes: held,
    policy,
    policyInForce: { version: document.version, sha256: hash },
    appliedEpoch: now?.applied_epoch ?? 0,
    appliedAt: isoOrNull(now?.applied_at_us ?? null),
  };
}
