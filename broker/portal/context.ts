// What the routes share: the parts they work with, who is asking, and whose device it is.
import type { KeyObject } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { LenscapError } from '../../proto/errors.ts';
import type { ServerConfig } from '../../proto/server-config.ts';
import type { Consent } from '../consent/consent.ts';
import type { Claims } from '../fleet/claims.ts';
import type { Configuration } from '../fleet/configuration.ts';
import type { Lifecycle } from '../fleet/lifecycle.ts';
import type { DeviceRow } from '../store/devices.ts';
import type { Overview } from '../store/overview.ts';
import type { Store } from '../store/store.ts';
import type { LoggedIn, Logins } from './logins.ts';
import type { Recordings } from './recordings.ts';
import { errorBody } from './schemas.ts';

export interface Context {
  readonly config: ServerConfig['http'];
  readonly store: Store;
  readonly consent: Consent;
  readonly consentPublicKey: KeyObject;
  readonly claims: Pick<Claims, 'create' | 'list' | 'cancel' | 'claimBoard'>;
  readonly claimLimits: Pick<ServerConfig['claims'], 'failures' | 'maxOpen'>;
  readonly lifecycle: Pick<Lifecycle, 'release' | 'revoke'>;
  readonly configuration: Configuration;
  readonly overview: Overview;
  readonly nowUs: () => number;
  readonly isConnected: (deviceId: string) => boolean;
  /** Sends a command to a camera; false when it is not connected. */
  readonly command: (deviceId: string, payload: Uint8Array) => Promise<boolean>;
  readonly logins: Logins;
  readonly recordings: Recordings;
  /** Address by which owners reach the API, without a slash at its end. */
  readonly publicUrl: () => string;
}

export const WHO = 'who';

/** Who asks. */
export function who(request: FastifyRequest): LoggedIn {
  const found = request.getDecorator<LoggedIn | null>(WHO);
  if (!found) throw new LenscapError('AUTH_REQUIRED', 'this needs a login');
  return found;
}

/** The device, if it belongs to who asks; the same answer whether it is another's or not there. */
export function ownDevice(
  context: Pick<Context, 'store'>,
  request: FastifyRequest<{ Params: { id: string } }>,
): Promise<DeviceRow> {
  return deviceOf(context, who(request).account.account_id, request.params.id);
}

/** The same, by id. @throws NOT_FOUND. */
export async function deviceOf(
  { store }: Pick<Context, 'store'>,
  accountId: string,
  deviceId: string,
): Promise<DeviceRow> {
  const device = await store.devices.byId(deviceId);
  if (device?.account_id !== accountId)
    throw new LenscapError('NOT_FOUND', 'no such camera among yours');
  return device;
}

/** Response schemas of a route that answers JSON. */
export function answers(schema: object): Record<string, object> {
  return {
    200: { description: 'Done.', ...schema },
    '4xx': { description: 'Refused.', ...errorBody },
    '5xx': { description: 'Failed.', ...errorBody },
  };
}

export const OPEN = { security: [] };
