// Opens the TLS connections of the agent. INVARIANT: what is returned leads to a peer that holds a
// certificate of the pinned authority for the name that was asked for, over TLS 1.3; before that not a
// byte but the handshake leaves. Its dates are judged only by a clock that can be right.
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect,
  type PeerCertificate,
  type TLSSocket,
} from 'node:tls';
import type { KnownTime } from '../clock.ts';

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** PEM. */
export interface Pair {
  readonly privateKey: string;
  readonly certificate: string;
}

export interface DialDeps {
  readonly server: Address;
  /** PEM; the only authority believed. */
  readonly ca: string;
  /** Shown to the server; null for none. */
  readonly pair: Pair | null;
  readonly timeoutMs: number;
  readonly time: Pick<KnownTime, 'isWallCredible'>;
}

/** Why a peer is not believed; `code` as OpenSSL and Node name it. */
export class PeerFault extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** @throws what the connection failed with (see cause.ts), AbortError. */
export async function dial(deps: DialDeps, signal: AbortSignal): Promise<TLSSocket> {
  const { server, ca, pair, timeoutMs, time } = deps;
  const mayJudgeDates = time.isWallCredible();
  const socket = await shakeHands(
    server,
    {
      ca,
      ...(pair === null ? {} : { key: pair.privateKey, cert: pair.certificate }),
      rejectUnauthorized: mayJudgeDates,
    },
    timeoutMs,
    signal,
  );
  const fault = mayJudgeDates ? null : peerFault(socket, server.host, ca);
  if (fault === null) return socket;
  socket.destroy();
  throw fault;
}

/**
 * The authority of a server: the certificate of its chain that `isWanted`, as PEM; undefined when
 * there is none. Nobody is believed for this, and nothing but the handshake is sent.
 */
export async function fetchAuthority(
  server: Address,
  isWanted: (der: Buffer) => boolean,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const socket = await shakeHands(server, { rejectUnauthorized: false }, timeoutMs, signal);
  try {
    const chain = chainOf(socket.getPeerCertificate(true));
    const wanted = chain.find((der) => isWanted(der));
    return wanted === undefined ? undefined : new X509Certificate(wanted).toString();
  } finally {
    socket.destroy();
  }
}

function chainOf(leaf: PeerCertificate): Buffer[] {
  const chain: Buffer[] = [];
  let one: PeerCertificate | undefined = leaf;
  // The root is its own issuer.
  while (one?.raw !== undefined && !chain.some((der) => der.equals(one?.raw ?? der))) {
    chain.push(one.raw);
    one = 'issuerCertificate' in one ? Object(one.issuerCertificate) : undefined;
  }
  return chain;
}

/** How far a connection has come, and what its silence means then. */
type Step = keyof typeof SILENCE;
const SILENCE = {
  lookup: 'the name server does not answer',
  connect: 'nothing answers at that address; a firewall may be in the way',
  handshake: 'what answers there says nothing; it may not be the server',
} as const;

async function shakeHands(
  { host, port }: Address,
  options: ConnectionOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<TLSSocket> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({
    host,
    port,
    // A server name is never an address [RFC 6066]; addresses are compared with the certificate.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    minVersion: 'TLSv1.3',
    ...options,
  });
  const onAbort = () => reject(signal.reason);
  const onClose = () => reject(new Error('the server closed the connection in the handshake'));
  let step: Step = isIP(host) === 0 ? 'lookup' : 'connect';
  socket.once('lookup', () => {
    step = 'connect';
  });
  socket.once('connect', () => {
    step = 'handshake';
  });
  const timer = setTimeout(
    () => reject(new Error(`no TLS connection within ${timeoutMs} ms: ${SILENCE[step]}`)),
    timeoutMs,
  );
  signal.addEventListener('abort', onAbort, { once: true });
  socket.once('secureConnect', resolve);
  socket.once('error', reject);
  socket.once('close', onClose);
  try {
    await promise;
    return socket;
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    socket.removeListener('error', reject);
    socket.removeListener('close', onClose);
  }
}

/**
 * What OpenSSL would have said, but for dates: the leaf has to come from the pinned authority itself
 * and to be one of a server of this name.
 */
function peerFault(socket: TLSSocket, host: string, ca: string): Error | null {
  // The call for a parsed one answers only once in Node 24.21.
  const shown = socket.getPeerCertificate();
  const leaf = shown.raw === undefined ? undefined : new X509Certificate(shown.raw);
  const authority = new X509Certificate(ca);
  if (leaf === undefined || !leaf.checkIssued(authority) || !leaf.verify(authority.publicKey))
    return new PeerFault('CERT_UNTRUSTED', 'its certificate is not of the pinned authority');
  const purposes: readonly string[] | undefined = leaf.keyUsage;
  if (purposes !== undefined && !purposes.includes(SERVER_AUTH))
    return new PeerFault('CERT_UNTRUSTED', 'its certificate is not one of a server');
  return checkServerIdentity(host, shown) ?? null;
}
