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

/** What does not speak TLS, or not the version that the server speaks: a box on the way. */
const OTHER_PROTOCOL =
  /^(EPROTO|ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|UNSUPPORTED_PROTOCOL|HTTP_REQUEST|UNEXPECTED_MESSAGE|BAD_RECORD_TYPE|.*ALERT_PROTOCOL_VERSION|.*ALERT_HANDSHAKE_FAILURE))$/;
const PORTAL = 'if this network has a log-in page, log in there first';
/** What the system says of a network, in words. */
const NETWORK: Readonly<Record<string, string>> = {
  ENOTFOUND: 'there is no such name; check the server address and the name server (DNS)',
  EAI_NODATA: 'the name has no address; check the server address and the name server (DNS)',
  EAI_AGAIN: 'the name server (DNS) does not answer; the network may be down',
  EAI_FAIL: 'the name server (DNS) failed',
  ENETUNREACH: 'there is no route to the server; the network is down',
  EHOSTUNREACH: 'there is no route to the server; something on the way is down',
  ENETDOWN: 'the network is down',
  EADDRNOTAVAIL: 'this camera has no address on the network',
  ECONNREFUSED: 'nothing listens there; the server may be down, or the port wrong',
  ETIMEDOUT: 'nothing answers at that address; a firewall may be in the way',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was broken',
};

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
  const words = wordsFor(cause, name);
  const said = cause instanceof Error ? cause.message || name : String(cause);
  return new LenscapError(
    'UPLINK_LOST',
    words === undefined ? said : `${words} (${name})`,
    options,
  );
}

function wordsFor(cause: unknown, name: string): string | undefined {
  if (isUntrusted(cause)) return `this is not the right server; nothing was sent to it; ${PORTAL}`;
  if (WRONG_DATE.has(name))
    return "the server's certificate is not valid today; check the clock of this camera";
  if (OTHER_PROTOCOL.test(name))
    return `what answers there is not the server; nothing was sent to it; ${PORTAL}`;
  return Object.hasOwn(NETWORK, name) ? NETWORK[name] : undefined;
}
