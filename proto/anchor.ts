// The Anchor message: wall and monotonic time of one moment of a boot. Within a boot the monotonic
// clock orders; the anchor says which wall time that is.
import { parsed, timeUs, uuid } from './fields.ts';
import { lenscap } from './wire.ts';

const Wire = lenscap.v1.Anchor;

export interface Anchor {
  /** Kernel boot id, a UUID. */
  readonly bootId: string;
  readonly atUs: number;
  readonly monoUs: number;
  /** `atUs` is an estimate, at the earliest: the clock of the camera has not been set. */
  readonly estimated: boolean;
}

export function encodeAnchor(anchor: Anchor): Uint8Array {
  return Wire.encode(anchor).finish();
}

/** @throws DECODE_INVALID. */
export function decodeAnchor(payload: Uint8Array): Anchor {
  const wire = parsed('anchor', () => Wire.decode(payload));
  return {
    bootId: uuid('boot_id', wire.bootId),
    atUs: timeUs('at_us', wire.atUs),
    monoUs: timeUs('mono_us', wire.monoUs),
    estimated: wire.estimated,
  };
}
