// Tokens in addresses to play: a device, a span and an end of life, bound to the login that asked for
// them, under an HMAC. Ending that login ends its addresses.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';

export interface PlayClaim {
  readonly deviceId: string;
  /** Hex SHA-256 of the token of the login. */
  readonly login: string;
  readonly fromUs: number;
  /** null = open-ended. */
  readonly toUs: number | null;
  readonly expiresAtUs: number;
  readonly madeAtUs: number;
}

const DOMAIN = 'lenscap play v2\n';
const MAC_BYTES = 32;

/** Characters that may stand in a path. `key` has 32 bytes. */
export function signPlay(claim: PlayClaim, key: Buffer): string {
  const { deviceId, login, fromUs, toUs, expiresAtUs, madeAtUs } = claim;
  const body = Buffer.from(JSON.stringify([deviceId, login, fromUs, toUs, expiresAtUs, madeAtUs]));
  return spelled(body, mac(body, key));
}

/** @throws NOT_FOUND when it is forged or over. */
export function verifyPlay(token: string, key: Buffer, nowUs: number): PlayClaim {
  const [text = '', signature = ''] = token.split('.');
  const body = Buffer.from(text, 'base64url');
  const given = Buffer.from(signature, 'base64url');
  const isSigned = given.length === MAC_BYTES && timingSafeEqual(given, mac(body, key));
  if (!isSigned || spelled(body, given) !== token) throw over();
  const signed: [string, string, number, number | null, number, number] = JSON.parse(
    body.toString(),
  );
  const [deviceId, login, fromUs, toUs, expiresAtUs, madeAtUs] = signed;
  if (expiresAtUs <= nowUs) throw over();
  return { deviceId, login, fromUs, toUs, expiresAtUs, madeAtUs };
}

/** base64url has several spellings of the same bytes; only one is ours. */
function spelled(body: Buffer, signature: Buffer): string {
  return `${body.toString('base64url')}.${signature.toString('base64url')}`;
}

function mac(body: Buffer, key: Buffer): Buffer {
  return createHmac('sha256', key).update(DOMAIN).update(body).digest();
}

/** The same answer for every reason, so that nothing can be learnt from it. */
export function over(): LenscapError {
  return new LenscapError('NOT_FOUND', 'this address does not play (any more); ask for a new one');
}
