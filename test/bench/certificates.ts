// A certificate authority for the baseline's broker: EC P-256 throughout, like the product's own.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Device } from './load/messages.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

export interface Certificates {
  readonly ca: string;
  readonly server: { readonly key: string; readonly certificate: string };
  readonly devices: readonly Device[];
}

/** All PEM. The server is `localhost`. */
export async function makeCertificates(deviceIds: readonly string[]): Promise<Certificates> {
  x509.cryptoProvider.set(webcrypto);
  const validity = {
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
  };
  const keys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const caKeys = await keys();
  const issuer = 'CN=bench authority';
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: issuer,
    keys: caKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  const issue = async (subject: string, extensions: x509.Extension[]) => {
    const pair = await keys();
    const certificate = await x509.X509CertificateGenerator.create({
      ...validity,
      subject: `CN=${subject}`,
      issuer,
      publicKey: pair.publicKey,
      signingKey: caKeys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions,
    });
    const der = await webcrypto.subtle.exportKey('pkcs8', pair.privateKey);
    const key = x509.PemConverter.encode(der, 'PRIVATE KEY');
    return { key, certificate: certificate.toString('pem') };
  };
  const names = new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'localhost' }]);
  return {
    ca: ca.toString('pem'),
    server: await issue('localhost', [names]),
    devices: await Promise.all(
      deviceIds.map(async (deviceId) => ({ deviceId, ...(await issue(deviceId, [])) })),
    ),
  };
}
