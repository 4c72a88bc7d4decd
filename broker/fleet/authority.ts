// The certificate authority of one server: its own root, the server's certificate, and certificates
// of devices. Subjects and extensions are always set here, never taken from a request.
import 'reflect-metadata';
import {
  createPrivateKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  X509Certificate as NodeCertificate,
  randomBytes,
  webcrypto,
} from 'node:crypto';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { LenscapError } from '../../proto/errors.ts';
import { makeFolder, readSecret, writeFileDurably } from '../store/durable.ts';

x509.cryptoProvider.set(webcrypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
const ROOT_DAYS = 3650;
const SERVER_DAYS = 365;
const RENEW_BEFORE_MS = 30 * DAY_MS;
/** Certificates begin in the past, for boards whose clock is behind. */
const BACKDATE_MS = DAY_MS;
const LEAST_BACKDATE_SHARE = 1 / 10;

/** A certificate of a device. */
export interface Certified {
  /** PEM. */
  readonly certificate: string;
  /** Lower-case hex. */
  readonly serial: string;
  /** SHA-256 of the certificate (DER), lower-case hex. */
  readonly fingerprint: string;
  /** SHA-256 of its key (SPKI DER), lower-case hex. */
  readonly keySha256: string;
  readonly issuedAtUs: number;
  readonly notAfterUs: number;
}

interface Pair {
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
  readonly keyPem: string;
}

export class Authority {
  readonly #root: Pair;
  readonly #folder: string;
  readonly #nowMs: () => number;

  private constructor(root: Pair, folder: string, nowMs: () => number) {
    this.#root = root;
    this.#folder = folder;
    this.#nowMs = nowMs;
  }

  /** Opens `ca/` of the data folder; makes the root in a new installation. */
  static async open(folder: string, nowMs: () => number, isNew: boolean): Promise<Authority> {
    await makeFolder(folder);
    const known = await readPair(folder, 'ca', isNew);
    if (known) return new Authority(known, folder, nowMs);
    const { privateKey, publicKey } = newKeys();
    const key = await toWebKey(privateKey);
    const name = `CN=Lenscap authority ${randomBytes(4).toString('hex')}`;
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: name,
      issuer: name,
      notBefore: new Date(nowMs() - BACKDATE_MS),
      notAfter: new Date(nowMs() + ROOT_DAYS * DAY_MS),
      signingAlgorithm: ALGORITHM,
      publicKey: await toWebPublicKey(publicKey),
      signingKey: key,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
      ],
    });
    const pair = { certificate, key, keyPem: toPem(privateKey) };
    await writePair(folder, 'ca', pair.keyPem, certificate.toString('pem'));
    return new Authority(pair, folder, nowMs);
  }

  /** The root certificate, PEM. */
  get certificate(): string {
    return this.#root.certificate.toString('pem');
  }

  /** SHA-256 of the root certificate (DER). */
  get fingerprint(): Buffer {
    return hash('sha256', Buffer.from(this.#root.certificate.rawData), 'buffer');
  }

  /**
   * The server's key and its certificate followed by the root, so that a board which knows only the
   * root's fingerprint finds it there. Made anew for other names and when about to expire.
   */
  async server(hosts: readonly string[]): Promise<{ key: string; cert: string }> {
    const known = await readPair(this.#folder, 'server', true);
    if (known && this.#isGood(known.certificate, hosts))
      return { key: known.keyPem, cert: this.#chain(known.certificate.toString('pem')) };
    const names = hosts.map(
      (host) => ({ type: isAddress(host) ? 'ip' : 'dns', value: host }) as const,
    );
    const { privateKey, publicKey } = newKeys();
    const leaf = await this.#sign({
      subject: `CN=${hosts[0] ?? 'localhost'}`,
      key: publicKey,
      fromMs: this.#nowMs() - BACKDATE_MS,
      toMs: this.#nowMs() + SERVER_DAYS * DAY_MS,
      extensions: [
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(names),
      ],
    });
    const keyPem = toPem(privateKey);
    await writePair(this.#folder, 'server', keyPem, leaf.toString('pem'));
    return { key: keyPem, cert: this.#chain(leaf.toString('pem')) };
  }

  /** Client certificate of a device for its public key, for `lifeS` seconds from now. */
  async certify(deviceId: string, key: KeyObject, lifeS: number): Promise<Certified> {
    const nowMs = this.#nowMs();
    const lifeMs = lifeS * 1000;
    const made = await this.#sign({
      subject: `CN=${deviceId}`,
      key,
      fromMs: nowMs - Math.min(BACKDATE_MS, lifeMs * LEAST_BACKDATE_SHARE),
      toMs: nowMs + lifeMs,
      extensions: [
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([
          { type: 'url', value: `urn:lenscap:device:${deviceId}` },
        ]),
      ],
    });
    return {
      certificate: made.toString('pem'),
      serial: made.serialNumber.toLowerCase(),
      fingerprint: hash('sha256', Buffer.from(made.rawData)),
      keySha256: hash('sha256', key.export({ type: 'spki', format: 'der' })),
      issuedAtUs: nowMs * 1000,
      // Certificates know whole seconds only.
      notAfterUs: made.notAfter.getTime() * 1000,
    };
  }

  #chain(leaf: string): string {
    return `${leaf}\n${this.certificate}\n`;
  }

  async #sign(request: {
    readonly subject: string;
    readonly key: KeyObject;
    readonly fromMs: number;
    readonly toMs: number;
    readonly extensions: readonly x509.Extension[];
  }): Promise<x509.X509Certificate> {
    const publicKey = await toWebPublicKey(request.key);
    return x509.X509CertificateGenerator.create({
      serialNumber: newSerial(),
      subject: request.subject,
      issuer: this.#root.certificate.subject,
      notBefore: new Date(request.fromMs),
      notAfter: new Date(request.toMs),
      signingAlgorithm: ALGORITHM,
      publicKey,
      signingKey: this.#root.key,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        await x509.AuthorityKeyIdentifierExtension.create(this.#root.certificate.publicKey),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        ...request.extensions,
      ],
    });
  }

  #isGood(certificate: x509.X509Certificate, hosts: readonly string[]): boolean {
    const parsed = new NodeCertificate(certificate.toString('pem'));
    return (
      certificate.notAfter.getTime() - this.#nowMs() > RENEW_BEFORE_MS &&
      hosts.every((host) => (isAddress(host) ? parsed.checkIP(host) : parsed.checkHost(host)))
    );
  }
}

const isAddress = (host: string): boolean => /^[\d.]+$|:/.test(host);

/** 128 random bits, positive. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0);
  return bytes.toString('hex');
}

function newKeys(): { privateKey: KeyObject; publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

const toPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();

function toWebKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}

function toWebPublicKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: 'spki', format: 'der' });
  return webcrypto.subtle.importKey('spki', der, ALGORITHM, true, ['verify']);
}

async function writePair(folder: string, name: string, key: string, cert: string): Promise<void> {
  await writeFileDurably(join(folder, `${name}.key`), key);
  await writeFileDurably(join(folder, `${name}.pem`), cert, 0o644);
}

/** The pair; undefined where it may be made and has not been, or not to its end. */
async function readPair(folder: string, name: string, mayMake: boolean): Promise<Pair | undefined> {
  const paths = [join(folder, `${name}.key`), join(folder, `${name}.pem`)] as const;
  const keyPem = (await readSecret(paths[0], mayMake))?.toString();
  const certPem = (await readSecret(paths[1], mayMake))?.toString();
  if (keyPem === undefined || certPem === undefined) return undefined;
  try {
    const key = await toWebKey(createPrivateKey(keyPem));
    return { certificate: new x509.X509Certificate(certPem), key, keyPem };
  } catch (error) {
    throw new LenscapError('STORE_CORRUPT', `${paths.join(' and ')} are damaged; restore them`, {
      cause: error,
    });
  }
}
