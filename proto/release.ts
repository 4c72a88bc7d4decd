// The end of an ownership. Release is the signed order to forget everything; Released is the device's
// word that it has, or that it is about to since somebody reset the board. A device id belongs to one
// ownership, so an old order can never meet a new owner's device.
import type { KeyObject } from 'node:crypto';
import { LenscapError } from './errors.ts';
import { parsed, whole } from './fields.ts';
import { signBody, verifyBody } from './signed.ts';
import { lenscap } from './wire.ts';

const WireRelease = lenscap.v1.Release;
const WireBody = lenscap.v1.ReleaseBody;
const WireReleased = lenscap.v1.Released;
const DOMAIN = 'lenscap release v1';

export interface Release {
  readonly deviceId: string;
  /** Of the ledger record that ended the ownership. */
  readonly epoch: number;
}

/** Payload of down/release. `privateKey` is Ed25519. */
export function signRelease(release: Release, privateKey: KeyObject): Uint8Array {
  const body = WireBody.encode(release).finish();
  return WireRelease.encode(signBody(DOMAIN, body, privateKey)).finish();
}

/** @throws GRANT_INVALID when it is damaged, not signed by `publicKey`, or for another device. */
export function verifyRelease(
  payload: Uint8Array,
  publicKey: KeyObject,
  deviceId: string,
): Release {
  try {
    const envelope = parsed('release', () => WireRelease.decode(payload));
    const body = verifyBody(DOMAIN, envelope, publicKey);
    const wire = parsed('release body', () => WireBody.decode(body));
    if (wire.deviceId !== deviceId)
      throw new LenscapError('GRANT_INVALID', 'the release is for another device');
    return { deviceId, epoch: whole('epoch', wire.epoch, 1) };
  } catch (error) {
    if (error instanceof LenscapError && error.code === 'GRANT_INVALID') throw error;
    throw new LenscapError('GRANT_INVALID', 'the release is damaged', { cause: error });
  }
}

/** In the order of the wire numbers, from 1. */
export const RELEASE_CAUSES = ['ordered', 'reset'] as const;
export type ReleaseCause = (typeof RELEASE_CAUSES)[number];

/** Payload of up/released. `ordered`: all is erased but the identity. `reset`: all is about to be. */
export function encodeReleased(cause: ReleaseCause): Uint8Array {
  return WireReleased.encode({ cause: RELEASE_CAUSES.indexOf(cause) + 1 }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeReleased(payload: Uint8Array): ReleaseCause {
  const wire = parsed('released', () => WireReleased.decode(payload));
  const cause = RELEASE_CAUSES[wire.cause - 1];
  if (cause === undefined) throw new LenscapError('DECODE_INVALID', 'no known cause of a release');
  return cause;
}
