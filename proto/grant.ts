// Grants: signed by the server's consent key, verified by the agent against the key it was given
// with its identity. A grant is valid for one device; its epoch is the only order there is.
import type { KeyObject } from 'node:crypto';
import { LenscapError } from './errors.ts';
import { parsed, scopes, whole } from './fields.ts';
import { type InfoField, infoFields, infoFieldToWire } from './info.ts';
import { type GrantedSince, type Scope, scopeToWire } from './scopes.ts';
import { signBody, verifyBody } from './signed.ts';
import { isDeviceId } from './topics.ts';
import { lenscap } from './wire.ts';

const WireGrant = lenscap.v1.Grant;
const WireBody = lenscap.v1.GrantBody;
const DOMAIN = 'lenscap grant v1';

export interface Grant {
  readonly deviceId: string;
  readonly epoch: number;
  /** What may leave the camera, each scope with the epoch since which it may without interruption. */
  readonly granted: GrantedSince;
  /** 32 bytes; empty when no scope is granted. */
  readonly policySha256: Uint8Array;
  readonly issuedAtUs: number;
  readonly leaseS: number;
  /** Which parts of device information the policy names; none unless `device_info` is granted. */
  readonly infoFields: readonly InfoField[];
}

/** Payload of down/grant. `privateKey` is Ed25519. */
export function signGrant(grant: Grant, privateKey: KeyObject): Uint8Array {
  const granted = [...grant.granted].map(([scope, sinceEpoch]) => ({
    scope: scopeToWire(scope),
    sinceEpoch,
  }));
  const named = grant.infoFields.map(infoFieldToWire);
  const body = WireBody.encode({ ...grant, granted, infoFields: named }).finish();
  return WireGrant.encode(signBody(DOMAIN, body, privateKey)).finish();
}

/**
 * The grant in a payload of down/grant or in the agent's grant file.
 * @throws GRANT_INVALID when it is damaged, not signed by `publicKey`, or for another device.
 */
export function verifyGrant(payload: Uint8Array, publicKey: KeyObject, deviceId: string): Grant {
  try {
    const envelope = parsed('grant', () => WireGrant.decode(payload));
    const grant = decodeBody(verifyBody(DOMAIN, envelope, publicKey));
    if (grant.deviceId !== deviceId)
      throw new LenscapError('GRANT_INVALID', `it is for ${grant.deviceId}, not for ${deviceId}`);
    return grant;
  } catch (error) {
    if (error instanceof LenscapError && error.code === 'GRANT_INVALID') throw error;
    throw new LenscapError('GRANT_INVALID', 'it is damaged; it is ignored', { cause: error });
  }
}

function decodeBody(body: Uint8Array): Grant {
  const wire = parsed('grant body', () => WireBody.decode(body));
  const listed = wire.granted.map((properties) => new lenscap.v1.GrantedScope(properties));
  const named = scopes(
    'granted',
    listed.map(({ scope }) => scope),
  );
  const epoch = whole('epoch', wire.epoch, 1);
  const sinceOf = (scope: Scope): number | undefined =>
    listed.find((one) => one.scope === scopeToWire(scope))?.sinceEpoch;
  const granted = new Map(
    named.map((scope) => [scope, whole('since_epoch', sinceOf(scope) ?? 0, 1)]),
  );
  if ([...granted.values()].some((since) => since > epoch))
    throw new LenscapError('DECODE_INVALID', 'a scope cannot be granted since a later epoch');
  if (!isDeviceId(wire.deviceId)) throw new LenscapError('DECODE_INVALID', 'no device id');
  if (wire.infoFields.length > 0 && !granted.has('device_info'))
    throw new LenscapError('DECODE_INVALID', 'device information is named but not granted');
  if (wire.policySha256.byteLength !== (granted.size === 0 ? 0 : 32))
    throw new LenscapError('DECODE_INVALID', 'scopes are granted under a policy, and only then');
  return {
    deviceId: wire.deviceId,
    epoch,
    granted,
    policySha256: Uint8Array.from(wire.policySha256),
    issuedAtUs: whole('issued_at_us', wire.issuedAtUs),
    leaseS: whole('lease_s', wire.leaseS, 1),
    infoFields: infoFields(wire.infoFields),
  };
}
