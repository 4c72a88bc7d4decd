// When a certificate is renewed, and when it is tried again. Pure; chance comes from outside.

export interface Life {
  readonly certificateStartsAtUs: number;
  readonly certificateEndsAtUs: number;
}

/** From here on, as parts of the life; the spread keeps a batch of cameras from coming at once. */
const DUE_FROM = 2 / 3;
const DUE_SPREAD = 0.05;
/** A try fails for this part of what is left, within these bounds. */
const RETRY_PART = 0.1;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 3_600_000;

/** Wall time from which the certificate is to be renewed, microseconds. `chance` is from 0 to 1. */
export function renewalDueUs(
  { certificateStartsAtUs, certificateEndsAtUs }: Life,
  chance: number,
): number {
  const lifeUs = certificateEndsAtUs - certificateStartsAtUs;
  return certificateStartsAtUs + lifeUs * (DUE_FROM + DUE_SPREAD * chance);
}

/** How long to wait after a renewal that failed, milliseconds. `chance` is from 0 to 1. */
export function renewalRetryMs(
  { certificateStartsAtUs, certificateEndsAtUs }: Life,
  nowUs: number,
  chance: number,
): number {
  // A server takes no certificate after its end: then it is our clock that is ahead.
  const isAhead = nowUs > certificateEndsAtUs;
  const leftUs = certificateEndsAtUs - (isAhead ? certificateStartsAtUs : nowUs);
  const partMs = (leftUs / 1000) * RETRY_PART;
  return Math.min(RETRY_MAX_MS, Math.max(RETRY_MIN_MS, partMs)) * (0.5 + chance / 2);
}
