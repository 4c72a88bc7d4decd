// Claiming a camera: setup codes made, listed and cancelled, and boards claimed by their label. A code
// is in the answer that makes it and nowhere after.
import type { FastifyInstance } from 'fastify';
import { LenscapError } from '../../../proto/errors.ts';
import type { Tables } from '../../store/schema.ts';
import { CLAIM_STATES, claimState } from '../claim-state.ts';
import { answers, type Context, deviceOf, who } from '../context.ts';
import { qrImages } from '../qr.ts';
import { at, deviceName, integer, list, object, orNull, text } from '../schemas.ts';
import { isoTime } from '../times.ts';

const MAX_CODE = 1000;

const claim = object({
  claimId: text('Of the setup code; says nothing of its secret.'),
  name: text('What the camera is to be called.'),
  state: { type: 'string', enum: [...CLAIM_STATES], description: 'What became of it.' },
  createdAt: at,
  expiresAt: at,
  failures: integer('Boards that did not know the secret.'),
  lastFailure: orNull(text('Code of the last refusal.')),
  deviceId: orNull(text('The camera that it is for, or led to.')),
  isReadmission: { type: 'boolean', description: 'For a camera that keeps its id and recordings.' },
});

const made = object({
  claimId: text('Of the setup code.'),
  code: text('The setup code. It is shown once and kept nowhere.', MAX_CODE),
  expiresAt: at,
  qr: object({
    svg: text('QR code to hold before the lens.', 1 << 20),
    png: text('The same, base64.', 1 << 20),
  }),
});

export function claimRoutes(app: FastifyInstance, context: Context): void {
  makeRoute(app, context);
  labelRoute(app, context);
  readRoutes(app, context);
}

function makeRoute(app: FastifyInstance, context: Context): void {
  const { claims, claimLimits, nowUs } = context;
  const inTurn = oneAtATime();
  app.post<{ Body: { name: string; deviceId?: string } }>(
    '/api/claims',
    {
      schema: {
        tags: ['claims'],
        summary: 'Make a setup code, for a new camera or for one of yours to be let in again',
        body: object({ name: deviceName, deviceId: text('Yours, to let in again.') }, 'deviceId'),
        response: answers(made),
      },
    },
    async (request) => {
      const { account_id: accountId } = who(request).account;
      const { name, deviceId } = request.body;
      if (deviceId !== undefined) await deviceOf(context, accountId, deviceId);
      const { claimId, code, expiresAtUs } = await inTurn(async () => {
        const rows = await claims.list(accountId);
        const open = rows.filter((row) => claimState(row, nowUs(), claimLimits) === 'open');
        if (open.length >= claimLimits.maxOpen)
          throw new LenscapError(
            'RATE_LIMITED',
            `${open.length} setup codes are open; cancel one, or wait until one has ended`,
          );
        return claims.create(accountId, { name, deviceId: deviceId ?? null });
      });
      const { svg, png } = await qrImages(code);
      const qr = { svg, png: png.toString('base64') };
      return { claimId, code, expiresAt: isoTime(expiresAtUs), qr };
    },
  );
}

/** Counting and making are one step, so that many requests at once do not get beyond the limit. */
function oneAtATime(): <T>(make: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (make) => {
    const made = last.then(make);
    last = made.catch(() => undefined);
    return made;
  };
}

function labelRoute(app: FastifyInstance, { claims }: Context): void {
  app.post<{ Body: { code: string; name: string } }>(
    '/api/claims/label',
    {
      schema: {
        tags: ['claims'],
        summary: 'Claim a camera by the code on its label',
        body: object({ code: text('As printed.', MAX_CODE), name: deviceName }),
        response: answers(object({ serial: text('Of the board.'), model: text('Of the board.') })),
      },
    },
    async (request) => {
      const { code, name } = request.body;
      const { account_id: accountId } = who(request).account;
      const { serial, model } = await claims.claimBoard(accountId, { label: code, name });
      return { serial, model };
    },
  );
}

function readRoutes(app: FastifyInstance, { claims, claimLimits, nowUs }: Context): void {
  app.get(
    '/api/claims',
    {
      schema: {
        tags: ['claims'],
        summary: 'Your setup codes of the last days, the newest first',
        response: answers(object({ claims: list(claim, 'Without the codes themselves.') })),
      },
    },
    async (request) => {
      const rows = await claims.list(who(request).account.account_id);
      return {
        claims: rows.map((row) => ({
          ...describe(row),
          state: claimState(row, nowUs(), claimLimits),
        })),
      };
    },
  );
  app.delete<{ Params: { id: string } }>(
    '/api/claims/:id',
    {
      schema: {
        tags: ['claims'],
        summary: 'Cancel a setup code; boards cannot use it from then on',
        params: object({ id: text('Id of the claim.') }),
        response: answers(object({ ok: { type: 'boolean' } })),
      },
    },
    async (request) => {
      const { account_id: accountId } = who(request).account;
      const { id } = request.params;
      // The same answer whether it is another's or not there.
      if (!(await claims.list(accountId)).some(({ claim_id }) => claim_id === id))
        throw new LenscapError('NOT_FOUND', 'no such setup code among yours');
      await claims.cancel(accountId, id);
      return { ok: true };
    },
  );
}

function describe(row: Tables['claims']): Record<string, unknown> {
  return {
    claimId: row.claim_id,
    name: row.name,
    createdAt: isoTime(row.created_at_us),
    expiresAt: isoTime(row.expires_at_us),
    failures: row.failures,
    lastFailure: row.last_failure,
    deviceId: row.device_id,
    isReadmission: row.is_readmission === 1,
  };
}
