// The identity bundle as it is read: who this camera is and whom it believes.
// Invariant: no error and no log line carries a byte of the bundle; the key never leaves this
// process but into TLS.
import {
  type X509Certificate as Certificate,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';
import {
  checkFactoryIdentity,
  checkIdentity,
  type FactoryIdentity,
  type IdentityBundle,
} from '../../proto/identity.ts';
import { readSecret } from '../durable-file.ts';
import { isFor } from './certificate.ts';

const REMEDY = 'claim the camera again: `lenscap-agent reset`, then a new setup code';

export interface Identity {
  readonly deviceId: string;
  readonly server: { readonly host: string; readonly port: number };
  /** PEM. */
  readonly privateKey: string;
  /** PEM. */
  readonly certificate: string;
  /** Key and certificate before a renewal, while the new ones were never used; PEM. */
  readonly previous: { readonly privateKey: string; readonly certificate: string } | null;
  /** PEM; the only authority believed. */
  readonly ca: string;
  /** Ed25519; the only key whose grants are obeyed. */
  readonly consentKey: KeyObject;
  /** Wall times between which the certificate is valid, microseconds. */
  readonly certificateStartsAtUs: number;
  readonly certificateEndsAtUs: number;
}

/** @throws IDENTITY_INVALID, with every fault that could be found and what to do. */
export function loadIdentity(path: string): Identity {
  const identity = findIdentity(path);
  if (identity !== null) return identity;
  throw new LenscapError('IDENTITY_INVALID', `${path} cannot be read: there is no such file`);
}

/** The same, or null when there is none. */
export function findIdentity(path: string): Identity | null {
  const bundle = readBundle(path);
  return bundle === null ? null : identityOf(bundle, path);
}

/** The bundle in a file, or null when there is none; checked by its schema alone. */
export function readBundle(path: string): IdentityBundle | null {
  const text = readSecret(path);
  return text === null ? null : checkIdentity(parseJson(text, path), path);
}

/** What the maker put on the board. @throws IDENTITY_INVALID, with every fault. */
export function loadFactoryIdentity(path: string): FactoryIdentity {
  const text = readSecret(path);
  if (text === null)
    throw new LenscapError('IDENTITY_INVALID', `${path} cannot be read: there is no such file`);
  const factory = checkFactoryIdentity(parseJson(text, path), path);
  const faults: string[] = [];
  const { certificate, key } = readPair(factory, faults);
  if (certificate && key && !certificate.checkPrivateKey(key)) faults.push(NO_PAIR);
  refuseFaults(path, faults, 'the board has to get its factory identity anew from its maker');
  return factory;
}

/** @throws IDENTITY_INVALID. */
export function identityOf(bundle: IdentityBundle, path: string): Identity {
  const faults: string[] = [];
  const { certificate, key } = readPair(bundle, faults);
  const consentKey = attempt(faults, 'consentKey', 'a public Ed25519 key in PEM', () =>
    publicEd25519(bundle.consentKey),
  );
  if (certificate && key && !certificate.checkPrivateKey(key)) faults.push(NO_PAIR);
  if (certificate && !isFor(certificate, bundle.deviceId))
    faults.push(`  /certificate: is not for ${bundle.deviceId}`);
  refuseFaults(path, faults, REMEDY);
  if (!certificate || !consentKey) throw new LenscapError('BUG', 'a fault was not told');
  return {
    ...bundle,
    consentKey,
    certificateStartsAtUs: Date.parse(certificate.validFrom) * 1000,
    certificateEndsAtUs: Date.parse(certificate.validTo) * 1000,
  };
}

const NO_PAIR = '  /privateKey: does not belong to the certificate';

function readPair(
  pems: { readonly certificate: string; readonly privateKey: string; readonly ca: string },
  faults: string[],
): { certificate: Certificate | undefined; key: KeyObject | undefined } {
  const certificate = attempt(
    faults,
    'certificate',
    'an X.509 certificate in PEM',
    () => new X509Certificate(pems.certificate),
  );
  const key = attempt(faults, 'privateKey', 'an unencrypted private key in PEM', () =>
    createPrivateKey(pems.privateKey),
  );
  attempt(faults, 'ca', 'a certificate of an authority in PEM', () => authority(pems.ca));
  return { certificate, key };
}

function attempt<T>(faults: string[], field: string, wanted: string, read: () => T): T | undefined {
  try {
    return read();
  } catch {
    faults.push(`  /${field}: has to be ${wanted}`);
    return undefined;
  }
}

function refuseFaults(path: string, faults: readonly string[], remedy: string): void {
  if (faults.length > 0)
    throw new LenscapError('IDENTITY_INVALID', `${path}:\n${faults.join('\n')}\n  ${remedy}`);
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
