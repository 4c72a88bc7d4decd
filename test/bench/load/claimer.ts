// A simulated board that gets its identity by a setup code, as the contract says, and then proves what
// it got: it connects with its certificate, hears its own topics and nobody else's.
import 'reflect-metadata';
import { createHash, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, createSecureContext, type DetailedPeerCertificate } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { backoffMs } from '../../../agent/uplink/backoff.ts';
import {
  type ClaimAnswer,
  claimIdOf,
  decodeClaimAnswer,
  encodeClaimRequest,
  type Issued,
  proofKeyOf,
  proofOf,
  sessionSecretOf,
} from '../../../proto/claim.ts';
import { decodeSetupCode, type SetupCode } from '../../../proto/setup-code.ts';
import { claimTopic, DOWN_NOUNS, downTopic } from '../../../proto/topics.ts';
import { Link, LinkError } from './link.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const CONNECT_TIMEOUT_MS = 10_000;
const BACKOFF = { backoffMinMs: 1000, backoffMaxMs: 60_000 };
const SUBACK_REFUSED = 128;

/** A key as it lies on a board before anybody claimed it. */
export interface Board {
  /** PEM, PKCS #8. */
  readonly privateKey: string;
  /** PKCS #10, DER. */
  readonly csr: Buffer;
}

export interface Claimed {
  readonly deviceId: string;
  /** From the code in hand to the identity in hand. */
  readonly issuedMs: number;
  /** From the code in hand to the first connection with the certificate. */
  readonly connectedMs: number;
  /** Why connections failed; each was tried again by the agent's rule. */
  readonly failures: readonly string[];
}

export async function makeBoard(): Promise<Board> {
  x509.cryptoProvider.set(webcrypto);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=lenscap',
    keys,
    signingAlgorithm: ALGORITHM,
  });
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  const privateKey = x509.PemConverter.encode(der, 'PRIVATE KEY');
  return { privateKey, csr: Buffer.from(request.rawData) };
}

/**
 * Claims a board and connects it. `stranger` is the id of a device that it must not hear.
 * @throws Error for whatever goes otherwise than it has to.
 */
export async function claim(
  text: string,
  board: Board,
  stranger: string,
  signal: AbortSignal,
): Promise<Claimed> {
  const code = decodeSetupCode(text);
  const startMs = performance.now();
  const failures: string[] = [];
  const ca = await patiently(() => fetchAuthority(code), failures, signal);
  const issued = await patiently(() => ask(code, ca, board), failures, signal);
  const issuedMs = performance.now() - startMs;
  const link = await patiently(() => connectAs(issued, board), failures, signal);
  const connectedMs = performance.now() - startMs;
  try {
    await proveId(link, issued, stranger);
  } finally {
    link.cut();
  }
  return { deviceId: issued.deviceId, issuedMs, connectedMs, failures };
}

/** As long as it fails for want of a connection; the server answers a repeated claim the same. */
async function patiently<T>(
  once: () => Promise<T>,
  failures: string[],
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await once();
    } catch (error) {
      if (!(error instanceof LinkError)) throw error;
      failures.push(error.message);
    }
    await sleep(backoffMs(attempt, BACKOFF, Math.random), undefined, { signal });
  }
}

/** The certificate that the code names, of a server that is not believed yet. */
async function fetchAuthority({ host, port, caFingerprint }: SetupCode): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ host, port, servername: host, rejectUnauthorized: false });
  const late = () => reject(new LinkError('refused', `no TLS within ${CONNECT_TIMEOUT_MS} ms`));
  const timer = setTimeout(late, CONNECT_TIMEOUT_MS);
  socket.once('error', (error) => reject(new LinkError('refused', error.message)));
  socket.once('close', () => reject(new LinkError('refused', 'closed in the first handshake')));
  socket.once('secureConnect', () => {
    let one: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
    const isNamed = ({ raw }: DetailedPeerCertificate): boolean =>
      createHash('sha256')
        .update(raw)
        .digest()
        .subarray(0, caFingerprint.length)
        .equals(caFingerprint);
    while (one && !isNamed(one))
      one = one.issuerCertificate === one ? undefined : one.issuerCertificate;
    if (one) resolve(new X509Certificate(one.raw).toString());
    else reject(new Error('the chain does not hold the authority that the code names'));
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

async function ask({ host, port, secret }: SetupCode, ca: string, board: Board): Promise<Issued> {
  const exchange = { kind: 'claim', claimId: claimIdOf(secret) } as const;
  let answer: ClaimAnswer | undefined;
  const link = await Link.open({
    port,
    servername: host,
    context: createSecureContext({ ca, minVersion: 'TLSv1.3' }),
    clientId: exchange.claimId,
    keepaliveS: 0,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    onMessage: (_topic, payload) => {
      answer = decodeClaimAnswer(payload);
    },
  });
  try {
    await link.subscribe([claimTopic(exchange, 'answer')]);
    const proof = proofOf(proofKeyOf(secret), sessionSecretOf(link.socket), board.csr);
    const request = encodeClaimRequest({ csr: board.csr, proof, deviceId: null });
    await link.publish(claimTopic(exchange, 'request'), request);
  } finally {
    link.cut();
  }
  if (answer?.kind === 'issued') return answer;
  throw new Error(answer ? `${answer.code}: ${answer.detail}` : 'acknowledged without an answer');
}

function connectAs(issued: Issued, { privateKey }: Board): Promise<Link> {
  const { deviceId, certificate, ca, server } = issued;
  return Link.open({
    port: server.port,
    servername: server.host,
    // Throws unless the certificate is of this very key.
    context: createSecureContext({ ca, key: privateKey, cert: certificate, minVersion: 'TLSv1.3' }),
    clientId: deviceId,
    username: randomBytes(16).toString('hex'),
    keepaliveS: 0,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  });
}

async function proveId(link: Link, { deviceId, certificate }: Issued, stranger: string) {
  const subject = new X509Certificate(certificate).subject;
  if (subject !== `CN=${deviceId}`) throw new Error(`${deviceId} has a certificate of ${subject}`);
  const own = await link.subscribe(DOWN_NOUNS.map((noun) => downTopic(deviceId, noun)));
  if (own.includes(SUBACK_REFUSED)) throw new Error(`${deviceId} may not hear its own topics`);
  const others = await link.subscribe(DOWN_NOUNS.map((noun) => downTopic(stranger, noun)));
  if (others.some((granted) => granted !== SUBACK_REFUSED))
    throw new Error(`${deviceId} may hear the topics of ${stranger}`);
}
