// The one table of error codes, used by agent, verdicts, HTTP API and command lines alike.
// Decisions are taken on codes, never on message text.

interface ErrorRow {
  /** What happened, in words; the detail says to what, and what to do. */
  readonly message: string;
  /** Whether the same request may succeed later without a change. */
  readonly retry: boolean;
  /** Exit status of a command that ends with it (sysexits.h where one fits). */
  readonly exit: number;
  /** HTTP status of the owner's API. */
  readonly http: number;
}

export const ERRORS = {
  CONFIG_INVALID: { message: 'the configuration is not valid', retry: false, exit: 78, http: 400 },
  CONFIG_STALE: {
    message: 'the configuration was changed by somebody else',
    retry: false,
    exit: 73,
    http: 409,
  },
  CONFIG_UNHEALTHY: {
    message: 'the configuration did not work',
    retry: false,
    exit: 70,
    http: 500,
  },
  IDENTITY_INVALID: {
    message: 'the identity bundle cannot be used',
    retry: false,
    exit: 78,
    http: 400,
  },
  IDENTITY_REFUSED: {
    message: 'the certificate is not accepted',
    retry: false,
    exit: 77,
    http: 403,
  },
  IDENTITY_EXISTS: { message: 'the board has an identity', retry: false, exit: 73, http: 409 },
  SERVER_UNTRUSTED: {
    message: 'the server is not the one to be trusted',
    retry: false,
    exit: 77,
    http: 502,
  },

  CODE_INVALID: { message: 'the code cannot be read', retry: false, exit: 65, http: 400 },
  CLAIM_REFUSED: { message: 'the code is not accepted', retry: false, exit: 77, http: 403 },
  CLAIM_USED: { message: 'the code was used', retry: false, exit: 77, http: 409 },
  CLAIM_EXPIRED: { message: 'the code has expired', retry: false, exit: 77, http: 410 },
  CLAIM_EXHAUSTED: {
    message: 'the code was tried too often',
    retry: false,
    exit: 77,
    http: 403,
  },
  CLAIM_WAITING: { message: 'no owner has claimed it yet', retry: true, exit: 75, http: 409 },
  CSR_INVALID: {
    message: 'the certificate request is not acceptable',
    retry: false,
    exit: 65,
    http: 400,
  },
  STATE_INVALID: {
    message: 'the state of the device does not allow it',
    retry: false,
    exit: 73,
    http: 409,
  },

  CAPTURE_NO_SOURCE: { message: 'the source cannot be opened', retry: true, exit: 66, http: 500 },
  CAPTURE_UNAUTHORIZED: {
    message: 'the source refused the credentials',
    retry: true,
    exit: 77,
    http: 500,
  },
  CAPTURE_UNSUPPORTED: { message: 'the source cannot be used', retry: true, exit: 69, http: 500 },
  CAPTURE_STALLED: { message: 'the source delivers nothing', retry: true, exit: 75, http: 500 },
  CAPTURE_NO_KEYFRAME: {
    message: 'the source sends no keyframe',
    retry: true,
    exit: 69,
    http: 500,
  },
  CAPTURE_ENDED: { message: 'the source ended', retry: true, exit: 0, http: 500 },
  CAPTURE_FAILED: { message: 'the capture failed', retry: true, exit: 70, http: 500 },

  LIGHT_FAILED: {
    message: 'the indicator light cannot be set',
    retry: true,
    exit: 69,
    http: 500,
  },

  SPOOL_FULL: { message: 'the spool has no room', retry: true, exit: 75, http: 503 },
  UPLINK_LOST: {
    message: 'the connection to the server is lost',
    retry: true,
    exit: 75,
    http: 503,
  },

  GRANT_INVALID: { message: 'the grant is not valid', retry: false, exit: 77, http: 403 },
  CONSENT_MISSING: { message: 'the owner has not consented', retry: false, exit: 77, http: 403 },
  POLICY_STALE: { message: 'the policy has changed', retry: false, exit: 77, http: 409 },

  TOPIC_DENIED: {
    message: 'the topic is not open to this device',
    retry: false,
    exit: 77,
    http: 403,
  },
  PACKET_REFUSED: { message: 'the connection broke a limit', retry: false, exit: 76, http: 413 },
  DECODE_INVALID: { message: 'the message is not valid', retry: false, exit: 65, http: 400 },
  STREAM_UNKNOWN: { message: 'the stream is not known', retry: true, exit: 65, http: 404 },
  SEGMENT_HASH: {
    message: 'the media do not match their SHA-256',
    retry: false,
    exit: 65,
    http: 400,
  },
  SEGMENT_CONFLICT: {
    message: 'the id is taken by other content',
    retry: false,
    exit: 65,
    http: 409,
  },
  SEGMENT_DELETED: { message: 'the owner has deleted it', retry: false, exit: 65, http: 410 },

  DEVICE_OFFLINE: { message: 'the camera is not connected', retry: true, exit: 69, http: 503 },

  STORE_FULL: { message: 'the disk has no room', retry: true, exit: 74, http: 507 },
  STORE_FAILED: { message: 'the storage does not work', retry: true, exit: 74, http: 500 },
  STORE_CORRUPT: { message: 'stored data are damaged', retry: false, exit: 74, http: 500 },
  STORE_LOCKED: { message: 'the data folder is in use', retry: true, exit: 75, http: 503 },

  AUTH_REQUIRED: { message: 'log in first', retry: false, exit: 77, http: 401 },
  AUTH_FAILED: { message: 'e-mail or password is wrong', retry: false, exit: 77, http: 401 },
  RATE_LIMITED: { message: 'too many requests', retry: true, exit: 75, http: 429 },
  REQUEST_INVALID: { message: 'the request is not valid', retry: false, exit: 64, http: 400 },
  NOT_FOUND: { message: 'there is no such thing', retry: false, exit: 66, http: 404 },
  CONFLICT: { message: 'it exists already', retry: false, exit: 73, http: 409 },
  SERVER_UNREACHABLE: { message: 'the server does not answer', retry: true, exit: 69, http: 503 },

  BUG: { message: 'an unexpected error', retry: false, exit: 70, http: 500 },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a code of the table. `detail` names the thing and what to do about it. */
export class LenscapError extends Error {
  override readonly name = 'LenscapError';
  readonly code: ErrorCode;
  /** The message without the table's part. */
  readonly detail: string;

  constructor(code: ErrorCode, detail: string, options?: ErrorOptions) {
    super(`${ERRORS[code].message}: ${detail}`, options);
    this.code = code;
    this.detail = detail;
  }
}

/** Whether a string from outside is a code of the table. */
export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(ERRORS, value);
}

/** Any thrown value as a LenscapError; what has no code becomes `fallback`. */
export function toLenscapError(thrown: unknown, fallback: ErrorCode = 'BUG'): LenscapError {
  if (thrown instanceof LenscapError) return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new LenscapError(fallback, detail, { cause: thrown });
}
