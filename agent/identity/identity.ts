// Reads the identity bundle: who this camera is and whom it believes.
// Invariant: no error and no log line carries a byte of the bundle; the key never leaves this
// process but into TLS.
import {
  type X509Certificate as Certificate,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { LenscapError } from '../../proto/errors.ts';
import { checkIdentity, type IdentityBundle } from '../../proto/identity.ts';

export interface Identity {
  readonly deviceId: string;
  readonly server: { readonly host: string; readonly port: number };
  /** PEM. */
  readonly privateKey: string;
  /** PEM. */
  readonly certificate: string;
  /** PEM; the only authority believed. */
  readonly ca: string;
  /** Ed25519; the only key whose grants are obeyed. */
  readonly consentKey: KeyObject;
  /** Wall time at which the certificate ends, microseconds. */
  readonly certificateEndsAtUs: number;
}

/** @throws IDENTITY_INVALID, with every fault that could be found and what to do. */
export function loadIdentity(path: string): Identity {
  const bundle = checkIdentity(parseJson(readPrivate(path), path), path);
  const faults: string[] = [];
  const attempt = <T>(field: string, wanted: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch {
      faults.push(`  /${field}: has to be ${wanted}`);
      return undefined;
    }
  };
  const certificate = attempt(
    'certificate',
    'an X.509 certificate in PEM',
    () => new X509Certificate(bundle.certificate),
  );
  const key = attempt('privateKey', 'an unencrypted private key in PEM', () =>
    createPrivateKey(bundle.privateKey),
  );
  const consentKey = attempt('consentKey', 'a public Ed25519 key in PEM', () =>
    publicEd25519(bundle.consentKey),
  );
  attempt('ca', 'a certificate of an authority in PEM', () => authority(bundle.ca));
  if (certificate && key) faults.push(...pairFaults(bundle, certificate, key));
  if (faults.length > 0 || !certificate || !consentKey)
    throw new LenscapError(
      'IDENTITY_INVALID',
      `${path}:\n${faults.join('\n')}\n  get a new bundle with \`lenscap-server device add\``,
    );
  return {
    deviceId: bundle.deviceId,
    server: bundle.server,
    privateKey: bundle.privateKey,
    certificate: bundle.certificate,
    ca: bundle.ca,
    consentKey,
    certificateEndsAtUs: Date.parse(certificate.validTo) * 1000,
  };
}

/** Mode and content are of the same open file, so that it cannot be swapped in between. */
function readPrivate(path: string): string {
  const fd = open(path);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile())
      throw new LenscapError('IDENTITY_INVALID', `${path} has to be a regular file`);
    if ((stat.mode & 0o077) !== 0)
      throw new LenscapError(
        'IDENTITY_INVALID',
        `${path} can be read by others, since its mode is ${(stat.mode & 0o777).toString(8)}; run: chmod 600 ${path}`,
      );
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new LenscapError('IDENTITY_INVALID', `${path} cannot be read: ${why}`, { cause: error });
  }
}

/** The parser's own message quotes the text, which may be the key: it is not passed on. */
function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new LenscapError('IDENTITY_INVALID', `${path} is not JSON`);
  }
}

function publicEd25519(pem: string): KeyObject {
  const key = createPublicKey(pem);
  if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('another kind of key');
  return key;
}

function authority(pem: string): void {
  if (!new X509Certificate(pem).ca) throw new TypeError('not an authority');
}

function pairFaults(bundle: IdentityBundle, certificate: Certificate, key: KeyObject): string[] {
  const faults: string[] = [];
  if (!certificate.checkPrivateKey(key))
    faults.push('  /privateKey: does not belong to the certificate');
  const names = certificate.subject
    .split('\n')
    .filter((line) => line.startsWith('CN='))
    .map((line) => line.slice(3));
  if (names.length !== 1 || names[0] !== bundle.deviceId)
    faults.push(`  /certificate: is not for ${bundle.deviceId}`);
  return faults;
}
