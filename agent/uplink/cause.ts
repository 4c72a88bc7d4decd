// Why a connection failed, in words that say what to do. Decides on codes, never on message text.
import { LenscapError } from '../../proto/errors.ts';

const OTHER_AUTHORITY = new Set([
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_PURPOSE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
const WRONG_DATE = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
/** TLS alerts by which a server turns down the certificate of a client. */
const ALERT =
  /^ERR_SSL_.*ALERT_(UNKNOWN_CA|ACCESS_DENIED|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|DECRYPT_ERROR)$/;
/** Return codes of CONNACK: identifier rejected, bad user name or password, not authorized. */
const CONNACK_REFUSED = new Set<unknown>([2, 4, 5]);

/** Whether a peer was turned away since it is not the one that was asked for. */
export function isUntrusted(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  return OTHER_AUTHORITY.has(code) || code === 'ERR_TLS_CERT_ALTNAME_INVALID';
}

/** An UPLINK_LOST or IDENTITY_REFUSED with what is known about the cause. */
export function lostBecause(cause: unknown): LenscapError {
  if (cause instanceof LenscapError) return cause;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const name = typeof code === 'string' ? code : '';
  const options = { cause };
  if (ALERT.test(name) || CONNACK_REFUSED.has(code))
    return new LenscapError(
      'IDENTITY_REFUSED',
      `the server does not know this certificate (${String(code)}): it may be revoked or expired, or the camera suspended; its owner can admit it again with a new setup code`,
      options,
    );
  if (isUntrusted(cause))
    return new LenscapError(
      'UPLINK_LOST',
      `this is not the right server (${name}); nothing was sent to it`,
      options,
    );
  if (WRONG_DATE.has(name))
    return new LenscapError(
      'UPLINK_LOST',
      `the server's certificate is not valid today (${name}); check the clock of this camera`,
      options,
    );
  const why = cause instanceof Error ? cause.message || name : String(cause);
  return new LenscapError('UPLINK_LOST', why, options);
}
