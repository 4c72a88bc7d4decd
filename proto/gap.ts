// The Gap message: a stretch without pictures while consent was in force, and why.

import { type ErrorCode, isErrorCode, LenscapError } from './errors.ts';
import { hexId, parsed, timeUs, uuid, whole } from './fields.ts';
import { lenscap } from './wire.ts';

const Wire = lenscap.v1.Gap;

/** In the order of the wire numbers, from 1. */
export const GAP_REASONS = [
  'source_lost',
  'source_stalled',
  'capture_crashed',
  'spool_full',
  'refused',
  'agent_stopped',
  'capture_restarted',
  'spool_damaged',
  'spool_expired',
  'lease_expired',
  'store_lost',
  'no_motion',
  'not_wanted',
] as const;
export type GapReason = (typeof GAP_REASONS)[number];

export interface Gap {
  readonly gapId: string;
  readonly bootId: string;
  readonly startAtUs: number;
  readonly startMonoUs: number;
  readonly durationUs: number;
  readonly reason: GapReason;
  readonly epoch: number;
  /** The error behind it, if there was one. */
  readonly code: ErrorCode | null;
}

export function encodeGap(gap: Gap): Uint8Array {
  return Wire.encode({
    ...gap,
    reason: GAP_REASONS.indexOf(gap.reason) + 1,
    code: gap.code ?? '',
  }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeGap(payload: Uint8Array): Gap {
  const wire = parsed('gap', () => Wire.decode(payload));
  const reason = GAP_REASONS[wire.reason - 1];
  if (reason === undefined)
    throw new LenscapError('DECODE_INVALID', `no known reason of a gap: ${wire.reason}`);
  if (wire.code !== '' && !isErrorCode(wire.code))
    throw new LenscapError('DECODE_INVALID', 'code has to be an error code or absent');
  return {
    gapId: hexId('gap_id', wire.gapId),
    bootId: uuid('boot_id', wire.bootId),
    startAtUs: timeUs('start_at_us', wire.startAtUs),
    startMonoUs: timeUs('start_mono_us', wire.startMonoUs),
    durationUs: whole('duration_us', wire.durationUs, 1, 2 ** 51),
    reason,
    epoch: whole('epoch', wire.epoch, 1),
    code: wire.code === '' ? null : wire.code,
  };
}
