// What is taken from a certificate request: its public key, and nothing else. A request that asks for
// more than a key to be certified is refused and not cut down, so that nobody believes he got it.
import 'reflect-metadata';
import { createPublicKey, hash, type KeyObject, webcrypto } from 'node:crypto';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { LenscapError } from '../../proto/errors.ts';

const MAX_BYTES = 2048;
/** How the SPKI of every P-256 key begins; the one form of it, so that no key has two names. */
const P256_HEAD = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex');
const P256_BYTES = P256_HEAD.length + 64;
/** Names are given by the server. */
const SUBJECTS: readonly string[] = ['', 'CN=lenscap'];
const HASH = 'SHA-256';

export interface RequestedKey {
  readonly key: KeyObject;
  /** SHA-256 of the key (SPKI DER), lower-case hex. */
  readonly keySha256: string;
}

/** The key of a request (PKCS #10, DER). @throws CSR_INVALID, naming what is wrong with it. */
export async function requestedKey(der: Uint8Array): Promise<RequestedKey> {
  if (der.byteLength > MAX_BYTES) throw invalid(`it is larger than ${MAX_BYTES} bytes`);
  const csr = read(der);
  const { subject, attributes, extensions } = fieldsOf(csr);
  if (!SUBJECTS.includes(subject)) throw invalid('its subject has to be empty or CN=lenscap');
  if (extensions > 0) throw invalid('it asks for extensions; names and uses are not for it to say');
  if (attributes > 0) throw invalid('it bears attributes; there may be none');
  const key = publicKeyOf(csr);
  if (!(await isSigned(csr))) throw invalid('it is not signed by its own key with SHA-256');
  return { key, keySha256: hash('sha256', key.export({ type: 'spki', format: 'der' })) };
}

function invalid(detail: string, cause?: unknown): LenscapError {
  return new LenscapError('CSR_INVALID', detail, { cause });
}

function read(der: Uint8Array): Pkcs10CertificateRequest {
  try {
    if (isWhole(Buffer.from(der))) return new Pkcs10CertificateRequest(Uint8Array.from(der));
  } catch (error) {
    throw invalid('it is no PKCS #10 request', error);
  }
  throw invalid('it is no whole PKCS #10 request, or something follows on it');
}

/** Whether it is one DER SEQUENCE and nothing besides; the parser overlooks what follows. */
function isWhole(der: Buffer): boolean {
  if (der.length < 4 || der.readUInt8(0) !== 0x30) return false;
  const first = der.readUInt8(1);
  if (first < 0x80) return der.length === 2 + first;
  const lengthBytes = first & 0x7f;
  if (lengthBytes < 1 || lengthBytes > 2) return false;
  return der.length === 2 + lengthBytes + der.readUIntBE(2, lengthBytes);
}

/** The parts are parsed when asked for, so this too can fail. */
function fieldsOf(csr: Pkcs10CertificateRequest): {
  subject: string;
  attributes: number;
  extensions: number;
} {
  try {
    return {
      subject: csr.subject,
      attributes: csr.attributes.length,
      extensions: csr.extensions.length,
    };
  } catch (error) {
    throw invalid('its subject or attributes are damaged', error);
  }
}

function publicKeyOf(csr: Pkcs10CertificateRequest): KeyObject {
  const wanted = 'its key has to be of the curve P-256, as an uncompressed point';
  try {
    const key = Buffer.from(csr.publicKey.rawData);
    if (key.length === P256_BYTES && key.subarray(0, P256_HEAD.length).equals(P256_HEAD))
      return createPublicKey({ key, format: 'der', type: 'spki' });
  } catch (error) {
    throw invalid(wanted, error);
  }
  throw invalid(wanted);
}

async function isSigned(csr: Pkcs10CertificateRequest): Promise<boolean> {
  try {
    return csr.signatureAlgorithm.hash?.name === HASH && (await csr.verify(webcrypto));
  } catch {
    return false;
  }
}
