// What a certificate of this device has to be, whoever hands it over. Pure.
import type { KeyObject, X509Certificate } from 'node:crypto';

export interface Expected {
  readonly privateKey: KeyObject;
  readonly deviceId: string;
  readonly authority: X509Certificate;
}

/** Each fault as `what is wrong`; none for a certificate that can be used. Dates are not judged. */
export function certificateFaults(certificate: X509Certificate, expected: Expected): string[] {
  const { privateKey, deviceId, authority } = expected;
  const faults: string[] = [];
  if (!certificate.checkPrivateKey(privateKey)) faults.push('it is for another key');
  if (!isFor(certificate, deviceId)) faults.push(`it is not for ${deviceId}`);
  if (!isIssuedBy(certificate, authority)) faults.push('it is not of the pinned authority');
  if (certificate.ca) faults.push('it is one of an authority');
  return faults;
}

/** Whether its only common name is this device id. */
export function isFor(certificate: X509Certificate, deviceId: string): boolean {
  const names = certificate.subject.split('\n').filter((line) => line.startsWith('CN='));
  return names.length === 1 && names[0] === `CN=${deviceId}`;
}

/** Whether it names this authority as its issuer and bears its signature. */
export function isIssuedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return (
    authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
  );
}
