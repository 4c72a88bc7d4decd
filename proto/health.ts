// The Health message: how the camera is, under the scope `device_info`.
import { type ErrorCode, isErrorCode, LenscapError } from './errors.ts';
import { parsed, whole } from './fields.ts';
import { lenscap } from './wire.ts';

const Wire = lenscap.v1.Health;

/** In the order of the wire numbers, from 1. */
export const SPOOL_STATES = ['on_flash', 'memory_only'] as const;
export type SpoolState = (typeof SPOOL_STATES)[number];

export interface SpoolHealth {
  /** `memory_only`: the flash takes nothing, all that waits is lost with power. */
  readonly state: SpoolState;
  /** Why; null when on flash. */
  readonly code: ErrorCode | null;
  readonly items: number;
  readonly bytes: number;
}

export interface Health {
  /** Consent epoch under which it is sent. */
  readonly epoch: number;
  readonly spool: SpoolHealth;
}

export function encodeHealth({ epoch, spool }: Health): Uint8Array {
  return Wire.encode({
    epoch,
    spoolState: SPOOL_STATES.indexOf(spool.state) + 1,
    spoolCode: spool.code ?? '',
    spoolItems: spool.items,
    spoolBytes: spool.bytes,
  }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeHealth(payload: Uint8Array): Health {
  const wire = parsed('health', () => Wire.decode(payload));
  const state = SPOOL_STATES[wire.spoolState - 1];
  if (state === undefined)
    throw new LenscapError('DECODE_INVALID', `no known state of a spool: ${wire.spoolState}`);
  if (wire.spoolCode !== '' && !isErrorCode(wire.spoolCode))
    throw new LenscapError('DECODE_INVALID', 'spool_code has to be an error code or absent');
  return {
    epoch: whole('epoch', wire.epoch, 1),
    spool: {
      state,
      code: wire.spoolCode === '' ? null : wire.spoolCode,
      items: whole('spool_items', wire.spoolItems),
      bytes: whole('spool_bytes', wire.spoolBytes),
    },
  };
}
