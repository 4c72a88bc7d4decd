// Where the certificate that is stored of a device is not the one its row speaks of. Pure.
import { hash, X509Certificate } from 'node:crypto';
import type { CertificateRow } from '../store/certificates.ts';

/** Wall time in a certificate has no fractions of a second. */
const SECOND_US = 1_000_000;

/** One line each. */
export function certificateFaults(rows: readonly CertificateRow[]): string[] {
  return rows.flatMap((row) =>
    faultsOf(row).map(
      (fault) => `certificate ${row.serial}: ${fault}; revoke it and issue another`,
    ),
  );
}

function faultsOf(row: CertificateRow): string[] {
  const certificate = parsed(row.pem);
  if (certificate === undefined) return ['what is stored of it cannot be read'];
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  const said: readonly (readonly [string, boolean])[] = [
    ['it has another serial number', certificate.serialNumber.toLowerCase() === row.serial],
    ['it has another fingerprint', hash('sha256', certificate.raw) === row.fingerprint],
    ['it has another key', hash('sha256', spki) === row.key_sha256],
    ['it is of another device', certificate.subject.split('\n').includes(`CN=${row.device_id}`)],
    [
      'it ends at another time',
      Math.abs(certificate.validToDate.getTime() * 1000 - row.not_after_us) <= SECOND_US,
    ],
  ];
  return said.filter(([, holds]) => !holds).map(([fault]) => fault);
}

function parsed(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
