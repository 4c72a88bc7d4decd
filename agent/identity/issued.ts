// From what the server issued to what is saved. Pure. INVARIANT: what comes out can be used by this
// board: for its key, of the authority that was pinned before, for the device that is named.
import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { Issued } from '../../proto/claim.ts';
import { LenscapError } from '../../proto/errors.ts';
import type { IdentityBundle } from '../../proto/identity.ts';
import { certificateFaults, type Expected } from './certificate.ts';
import { pemOf } from './pending-key.ts';

/** @throws SERVER_UNTRUSTED with what is wrong with the answer. */
export function bundleOf(issued: Issued, ca: string, privateKey: KeyObject): IdentityBundle {
  const { deviceId, certificate, consentKey, server } = issued;
  const authority = new X509Certificate(ca);
  if (!parsed(issued.ca).raw.equals(authority.raw)) refuse('it names another authority');
  if (!isEd25519(consentKey)) refuse('it has no key of the consent');
  if (server.host === '' || server.host.length > 253) refuse('it names no server');
  const checked = checkedCertificate(certificate, { privateKey, deviceId, authority });
  return {
    version: 1,
    deviceId,
    privateKey: pemOf(privateKey),
    certificate: checked,
    server,
    previous: null,
    ca,
    consentKey: createPublicKey(consentKey).export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/**
 * The certificate alone, as PEM: whatever else the text held could not be read back.
 * @throws SERVER_UNTRUSTED when it is not for this key, this device, of this authority.
 */
export function checkedCertificate(certificate: string, expected: Expected): string {
  const one = parsed(certificate);
  const faults = certificateFaults(one, expected);
  if (faults.length > 0) refuse(faults.join(', '));
  return one.toString();
}

function parsed(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    return refuse('it is no certificate', error);
  }
}

function isEd25519(pem: string): boolean {
  try {
    return createPublicKey(pem).asymmetricKeyType === 'ed25519';
  } catch {
    return false;
  }
}

function refuse(what: string, cause?: unknown): never {
  throw new LenscapError('SERVER_UNTRUSTED', `its answer cannot be used: ${what}`, { cause });
}
