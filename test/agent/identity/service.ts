// A server that gives identities, for the tests of the agent: real TLS, real aedes, a real authority;
// it keeps to the protocol unless a test makes it lie.
import 'reflect-metadata';
import { hash, randomInt, webcrypto, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer, TLSSocket } from 'node:tls';
import { Pkcs10CertificateRequest, X509CertificateGenerator } from '@peculiar/x509';
import { Aedes, type Client } from 'aedes';
import {
  type ClaimAnswer,
  type ClaimRequest,
  claimIdOf,
  decodeClaimRequest,
  encodeClaimAnswer,
  isProof,
  proofKeyOf,
  proofOf,
  sessionSecretOf,
} from '../../../proto/claim.ts';
import type { ErrorCode } from '../../../proto/errors.ts';
import { signRelease } from '../../../proto/release.ts';
import { decodeRenewal, encodeRenewed, type Renewed } from '../../../proto/renewal.ts';
import type { Scope } from '../../../proto/scopes.ts';
import { encodeSetupCode } from '../../../proto/setup-code.ts';
import {
  claimTopic,
  type DownNoun,
  downTopic,
  type Exchange,
  parseClaimTopic,
  parseExchangeId,
  parseTopic,
} from '../../../proto/topics.ts';
import { consent, grant } from '../consent/grants.ts';
import { type Authority, makeAuthority, makePair, type Pair } from '../uplink/pki.ts';

const DAY_MS = 86_400_000;
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export const authority = await makeAuthority('authority');
const honestPair = await makePair(authority, 'server', { type: 'dns', value: 'localhost' });
export const consentKey = consent.publicKey.export({ type: 'spki', format: 'pem' }).toString();

export interface ServiceOptions {
  /** Life of a certificate, milliseconds. */
  readonly lifeMs?: number;
  /** What is answered to a claim instead of the honest answer; null for nothing at all. */
  readonly answer?: (honest: ClaimAnswer) => ClaimAnswer | Buffer | null;
  readonly renewed?: (honest: Renewed) => Renewed | Buffer | null;
  /** What a device gets when it has subscribed; its consent at epoch 1 if absent. */
  readonly onReady?: (deviceId: string, service: Service) => unknown;
  /** Runs before the acknowledgement; false = there is none. */
  readonly onPublish?: (noun: string, service: Service) => boolean | Promise<boolean>;
  /** Whether a subscription is never acknowledged. */
  readonly isDeaf?: boolean;
  readonly pair?: Pair;
  /** What it says it is; the authority of the tests if absent. */
  readonly authority?: Authority;
}

export interface Heard {
  readonly deviceId: string;
  readonly noun: string;
  readonly payload: Buffer;
}

interface Claim {
  readonly proofKey: Buffer;
  readonly deviceId: string;
  /** The one certificate of this claim, and the key that it is for. */
  issued?: { readonly key: string; readonly certificate: string };
  isUsed: boolean;
}

/** A grant that is signed now. */
export function grantTo(deviceId: string, epoch: number, scopes: readonly Scope[]): Uint8Array {
  return grant(epoch, scopes, { deviceId, issuedAtUs: Date.now() * 1000 });
}

/** An id as the server makes it. */
export function newDeviceId(): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz234567';
  return `cam-${Array.from({ length: 16 }, () => letters.charAt(randomInt(32))).join('')}`;
}

/** A certificate for a public key (SPKI). */
export async function certify(
  spki: ArrayBuffer,
  deviceId: string,
  { lifeMs = DAY_MS, by = authority }: { lifeMs?: number; by?: Authority } = {},
): Promise<string> {
  const publicKey = await webcrypto.subtle.importKey('spki', spki, EC, true, ['verify']);
  const certificate = await X509CertificateGenerator.create(
    {
      subject: `CN=${deviceId}`,
      issuer: by.name,
      publicKey,
      signingKey: by.keys.privateKey,
      signingAlgorithm: EC,
      notBefore: new Date(Date.now() - lifeMs / 10),
      notAfter: new Date(Date.now() + lifeMs),
    },
    webcrypto,
  );
  return certificate.toString('pem');
}

export class Service {
  readonly heard: Heard[] = [];
  readonly requests: ClaimRequest[] = [];
  /** Instance and certificate of each connection of a device that was admitted. */
  readonly admitted: { deviceId: string; instance: string; serial: string }[] = [];
  /** Serial numbers of certificates that are not admitted. */
  readonly revoked = new Set<string>();
  /** Device ids that owners have given to boards, by serial number. */
  readonly boards = new Map<string, string>();
  /** Bytes after TLS, of all connections. */
  bytes = 0;
  port = 0;
  options: ServiceOptions;
  readonly #claims = new Map<string, Claim>();
  readonly #clients = new Map<string, Client>();
  readonly #sockets = new Set<TLSSocket>();
  #stop: () => void = () => undefined;

  private constructor(options: ServiceOptions) {
    this.options = options;
  }

  static async start(options: ServiceOptions = {}, port = 0): Promise<Service> {
    const service = new Service(options);
    await service.#listen(port);
    return service;
  }

  /** A setup code for a new device, or for one that is admitted again. */
  newCode(deviceId = newDeviceId(), host = 'localhost'): { code: string; deviceId: string } {
    const secret = Buffer.from(Array.from({ length: 16 }, () => randomInt(256)));
    this.#claims.set(claimIdOf(secret), { proofKey: proofKeyOf(secret), deviceId, isUsed: false });
    const der = new X509Certificate((this.options.authority ?? authority).pem).raw;
    const caFingerprint = hash('sha256', der, 'buffer').subarray(0, 16);
    return { deviceId, code: encodeSetupCode({ host, port: this.port, caFingerprint, secret }) };
  }

  say(deviceId: string, noun: DownNoun, payload: Uint8Array): Promise<void> {
    return this.#publish(deviceId, downTopic(deviceId, noun), payload);
  }

  release(deviceId: string): Promise<void> {
    return this.say(deviceId, 'release', signRelease({ deviceId, epoch: 9 }, consent.privateKey));
  }

  nouns(): string[] {
    return this.heard.map(({ noun }) => noun);
  }

  /** Ends every connection. */
  reset(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#stop();
  }

  async #listen(port: number): Promise<void> {
    const { pair = honestPair, authority: ca = authority } = this.options;
    const broker = await Aedes.createBroker({
      authenticate: (client, userName, _password, callback) => {
        const returnCode = this.#mayConnect(client, userName ?? '') ? 0 : 5;
        if (returnCode === 0) this.#clients.set(client.id, client);
        callback(
          returnCode === 0 ? null : Object.assign(new Error('refused'), { returnCode: 5 as const }),
          returnCode === 0,
        );
      },
      authorizeSubscribe: (_client, subscription, callback) => {
        if (this.options.isDeaf !== true) callback(null, subscription);
      },
      authorizePublish: (client, { topic, payload }, callback) => {
        if (client === null) return callback(null);
        const bytes = Buffer.from(payload);
        this.#receive(client, topic, bytes).then(
          (isAcked) => (isAcked ? callback(null) : undefined),
          (error: Error) => callback(error),
        );
      },
    });
    broker.on('subscribe', (subscriptions, { id }) => {
      const isReady = subscriptions.some(({ topic }) => parseTopic(topic)?.noun === 'grant');
      const { onReady = () => this.say(id, 'grant', grantTo(id, 1, [])) } = this.options;
      if (isReady) onReady(id, this);
    });
    const server = createServer(
      {
        key: pair.privateKey,
        cert: `${pair.certificate}\n${ca.pem}`,
        ca: ca.pem,
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.3',
      },
      (socket) => {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => this.#sockets.delete(socket));
        socket.on('data', ({ length }: Buffer) => {
          this.bytes += length;
        });
        broker.handle(socket);
      },
    );
    server.on('tlsClientError', () => undefined);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
    this.#stop = () => {
      this.reset();
      server.close();
      broker.close();
    };
  }

  #mayConnect(client: Client, instance: string): boolean {
    const socket = client.conn;
    if (!(socket instanceof TLSSocket)) return false;
    if (parseExchangeId(client.id) !== undefined) return instance === '';
    const serial = socket.getPeerX509Certificate()?.serialNumber ?? '';
    if (!socket.authorized || this.revoked.has(serial)) return false;
    this.admitted.push({ deviceId: client.id, instance, serial });
    for (const claim of this.#claims.values())
      if (claim.deviceId === client.id && claim.issued !== undefined) claim.isUsed = true;
    return true;
  }

  async #receive(client: Client, topic: string, payload: Buffer): Promise<boolean> {
    const exchange = parseExchangeId(client.id);
    if (exchange !== undefined && parseClaimTopic(exchange, topic) === 'request')
      return this.#answer(client, exchange, payload);
    const noun = parseTopic(topic)?.noun ?? '';
    this.heard.push({ deviceId: client.id, noun, payload });
    if (noun === 'renewal') {
      const honest = await this.#renew(client.id, decodeRenewal(payload));
      const said = this.options.renewed === undefined ? honest : this.options.renewed(honest);
      const bytes = said === null || Buffer.isBuffer(said) ? said : encodeRenewed(said);
      if (bytes !== null) await this.say(client.id, 'certificate', bytes);
    }
    return (await this.options.onPublish?.(noun, this)) ?? true;
  }

  async #answer(client: Client, exchange: Exchange, payload: Buffer): Promise<boolean> {
    const request = decodeClaimRequest(payload);
    this.requests.push(request);
    const honest = await this.#judge(client, exchange, request);
    const said = this.options.answer === undefined ? honest : this.options.answer(honest);
    if (said === null) return false;
    const bytes = Buffer.isBuffer(said) ? said : encodeClaimAnswer(said);
    await this.#publish(client.id, claimTopic(exchange, 'answer'), bytes);
    return (await this.options.onPublish?.('request', this)) ?? true;
  }

  async #judge(client: Client, exchange: Exchange, request: ClaimRequest): Promise<ClaimAnswer> {
    if (exchange.kind === 'board') {
      const deviceId = this.boards.get(exchange.serial);
      if (deviceId === undefined) return refused('CLAIM_WAITING', 1);
      return this.#issued(deviceId, await this.#certificate(deviceId, request.csr));
    }
    const claim = this.#claims.get(exchange.claimId);
    const { conn } = client;
    if (claim === undefined || !(conn instanceof TLSSocket)) return refused('CLAIM_REFUSED');
    const expected = proofOf(claim.proofKey, sessionSecretOf(conn), request.csr);
    if (!isProof(request.proof, expected)) return refused('CLAIM_REFUSED');
    const key = hash(
      'sha256',
      Buffer.from(new Pkcs10CertificateRequest(request.csr).publicKey.rawData),
    );
    if (claim.isUsed || (claim.issued ?? { key }).key !== key) return refused('CLAIM_USED');
    if (request.deviceId !== null && request.deviceId !== claim.deviceId)
      return refused('CLAIM_REFUSED');
    claim.issued ??= { key, certificate: await this.#certificate(claim.deviceId, request.csr) };
    return this.#issued(claim.deviceId, claim.issued.certificate);
  }

  #issued(deviceId: string, certificate: string): ClaimAnswer {
    const { pem: ca } = this.options.authority ?? authority;
    const server = { host: 'localhost', port: this.port };
    return { kind: 'issued', deviceId, certificate, ca, consentKey, server };
  }

  async #renew(deviceId: string, csr: Uint8Array): Promise<Renewed> {
    return { kind: 'issued', certificate: await this.#certificate(deviceId, csr) };
  }

  async #certificate(deviceId: string, csr: Uint8Array): Promise<string> {
    const request = new Pkcs10CertificateRequest(csr);
    if (!(await request.verify(webcrypto))) throw new Error('no proof of possession');
    const { lifeMs = DAY_MS, authority: by = authority } = this.options;
    return certify(request.publicKey.rawData, deviceId, { lifeMs, by });
  }

  /** Resolves when it is on its way, so that an acknowledgement can be sent behind it. */
  #publish(clientId: string, topic: string, payload: Uint8Array): Promise<void> {
    const packet = { cmd: 'publish', topic, qos: 1, retain: false, dup: false } as const;
    return new Promise((resolve) => {
      const client = this.#clients.get(clientId);
      if (client === undefined) resolve();
      else client.publish({ ...packet, payload: Buffer.from(payload) }, () => resolve());
    });
  }
}

function refused(code: ErrorCode, retryAfterS = 0): ClaimAnswer {
  return { kind: 'refused', code, detail: '', retryAfterS };
}
