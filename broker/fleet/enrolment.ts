// Adding a device by the operator, who hands the bundle with key and certificate to the board himself,
// so that there is nothing to prove: it is claimed from the start, and nothing is granted.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { IdentityBundle } from '../../proto/identity.ts';
import type { Consent } from '../consent/consent.ts';
import type { Store } from '../store/store.ts';
import type { Authority } from './authority.ts';
import type { Certificates } from './certificates.ts';
import { newDevice } from './new-device.ts';

export interface EnrolmentDeps {
  readonly store: Pick<Store, 'inTransaction'>;
  readonly authority: Authority;
  readonly certificates: Certificates;
  readonly consent: Consent;
  readonly consentPublicKey: KeyObject;
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
  const { accountId, name, server } = request;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const nowUs = deps.nowUs();
  const device = newDevice({ accountId, name, state: 'claimed', serial: null, nowUs });
  const certificate = await deps.certificates.issue(device.device_id, { key: publicKey });
  const by = { actor: 'operator', how: 'device add' };
  await deps.store.inTransaction(async (rows) => {
    await rows.devices.add(device);
    await rows.certificates.add(certificate);
    await deps.consent.endIn(rows.consent, device, 'OWNER_CHANGED', by);
  });
  await deps.consent.tellOf(device.device_id);
  return {
    version: 1,
    deviceId: device.device_id,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificate: certificate.pem,
    server,
    previous: null,
    ca: deps.authority.certificate,
    consentKey: deps.consentPublicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}
