// Adding a device by the operator: id, key, certificate and the bundle that goes to the board. The
// device belongs to an account from its first record on, and nothing is granted.
import type { KeyObject } from 'node:crypto';
import type { IdentityBundle } from '../../proto/identity.ts';
import type { Consent } from '../consent/consent.ts';
import type { Devices } from '../store/devices.ts';
import { newDeviceId } from '../store/ids.ts';
import type { Authority } from './authority.ts';

export interface EnrolmentDeps {
  readonly authority: Authority;
  readonly devices: Devices;
  readonly consent: Consent;
  readonly consentPublicKey: KeyObject;
  readonly certificateDays: number;
  readonly nowUs: () => number;
}

/** Makes a device of an account and returns what the board needs. The key is kept nowhere else. */
export async function enrol(
  deps: EnrolmentDeps,
  request: {
    readonly accountId: string;
    readonly name: string;
    readonly server: { readonly host: string; readonly port: number };
  },
): Promise<IdentityBundle> {
  const deviceId = newDeviceId();
  const issued = await deps.authority.device(deviceId, deps.certificateDays);
  const device = {
    device_id: deviceId,
    account_id: request.accountId,
    name: request.name,
    created_at_us: deps.nowUs(),
    last_seen_at_us: null,
    epoch: 0,
    applied_epoch: 0,
    applied_at_us: null,
  };
  await deps.devices.add(device);
  await deps.devices.addCertificate({
    serial: issued.serial,
    device_id: deviceId,
    not_after_us: issued.notAfterUs,
    revoked_at_us: null,
  });
  await deps.consent.assign(device, { actor: 'operator', how: 'device add' });
  return {
    version: 1,
    deviceId,
    privateKey: issued.privateKey,
    certificate: issued.certificate,
    server: request.server,
    ca: deps.authority.certificate,
    consentKey: deps.consentPublicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}
