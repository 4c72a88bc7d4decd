// What a board or a device is told of an error: the words of the fleet's own decisions, and of trouble
// of the server nothing but the code, since its details name files.
import { ERRORS, type ErrorCode, LenscapError } from '../../proto/errors.ts';

const RETRY_AFTER_S = 30;

export interface Refusal {
  readonly kind: 'refused';
  readonly code: ErrorCode;
  readonly detail: string;
  /** 0 = never. */
  readonly retryAfterS: number;
}

/** @throws what has no code: that is a fault of ours, and nobody's to be told. */
export function refusalOf(error: unknown, waitingRetryS = RETRY_AFTER_S): Refusal {
  if (!(error instanceof LenscapError) || error.code === 'BUG') throw error;
  const { code } = error;
  const isOurs = code.startsWith('STORE_');
  return {
    kind: 'refused',
    code,
    detail: isOurs
      ? 'the server has trouble with its storage; its operator has to look'
      : error.detail,
    retryAfterS: ERRORS[code].retry ? waitingRetryS : 0,
  };
}
