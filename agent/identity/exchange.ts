// The exchange by which a board gets its identity. INVARIANTS: nothing of MQTT is said before the
// server has shown a certificate of the authority that the code or the maker names; the secret of a
// code never leaves; the key is on disk before its request leaves and is the same when the exchange is
// repeated; there is an identity on disk as a whole, or none.

import { hash, type KeyObject } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import {
  type ClaimAnswer,
  claimIdOf,
  decodeClaimAnswer,
  encodeClaimRequest,
  proofKeyOf,
  proofOf,
  sessionSecretOf,
} from '../../proto/claim.ts';
import { ERRORS, type ErrorCode, LenscapError } from '../../proto/errors.ts';
import type { FactoryIdentity, IdentityBundle } from '../../proto/identity.ts';
import type { SetupCode } from '../../proto/setup-code.ts';
import { claimTopic, type Exchange, exchangeId } from '../../proto/topics.ts';
import type { KnownTime } from '../clock.ts';
import { createSecret, replaceSecret } from '../durable-file.ts';
import { isUntrusted, lostBecause } from '../uplink/cause.ts';
import { type Address, dial, fetchAuthority, type Pair } from '../uplink/dial.ts';
import { openSession } from '../uplink/session.ts';
import { makeRequest } from './csr.ts';
import { findIdentity, type Identity, identityOf } from './identity.ts';
import { bundleOf } from './issued.ts';
import { withIdentityLock } from './lock.ts';
import { forgetPendingKey, forgetPendingKeys, pendingKey } from './pending-key.ts';
import { eraseOwnership } from './state-files.ts';

const KEEPALIVE_S = 60;
const CONNECT_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 10_000;
/** Whose key it is: what a board asks by its label must not void a code that was answered. */
const PURPOSES = { code: 'claim', board: 'board' } as const;

export interface ExchangeDeps {
  readonly identityPath: string;
  readonly stateDir: string;
  readonly time: Pick<KnownTime, 'isWallCredible'>;
  /** Told of each step, in words for people. */
  readonly onStep: (step: string) => void;
  /** Whether a board with an identity may ask; it keeps its device id then. */
  readonly mayReadmit: boolean;
  /** Awaited before anybody else may change the identity. Absent: nothing is to be done. */
  readonly onSaved?: (identity: Identity) => Promise<void>;
}

/** By what the board asks. */
export type Applicant =
  | { readonly kind: 'code'; readonly code: SetupCode }
  | { readonly kind: 'board'; readonly factory: FactoryIdentity };

export type Outcome =
  | { readonly kind: 'issued'; readonly identity: Identity }
  /** No owner has claimed this board yet. */
  | { readonly kind: 'waiting'; readonly retryAfterS: number };

/**
 * @throws SERVER_UNTRUSTED, UPLINK_LOST, IDENTITY_EXISTS, IDENTITY_INVALID, DECODE_INVALID, STORE_…,
 * whatever code the server refuses with; AbortError.
 */
export function exchange(
  deps: ExchangeDeps,
  applicant: Applicant,
  signal: AbortSignal,
): Promise<Outcome> {
  return withIdentityLock(deps.stateDir, signal, async () => {
    const present = findIdentity(deps.identityPath);
    if (present !== null && !deps.mayReadmit) throw exists(present);
    const ways = await waysOf(applicant, signal);
    const id = exchangeId(ways.exchange);
    const purpose = { purpose: PURPOSES[applicant.kind], for: id };
    const key = pendingKey(deps.identityPath, purpose);
    const answer = await ask(deps, ways, { key, deviceId: present?.deviceId ?? null }, signal);
    if (answer.kind === 'issued') {
      deps.onStep(`the server has issued an identity: ${answer.deviceId}`);
      if (present !== null && present.deviceId !== answer.deviceId) throw exists(present);
      const identity = save(deps, present, bundleOf(answer, ways.ca, key));
      await deps.onSaved?.(identity);
      return { kind: 'issued', identity };
    }
    if (answer.code === 'CLAIM_WAITING' && applicant.kind === 'board')
      return { kind: 'waiting', retryAfterS: answer.retryAfterS };
    if (isKeyDone(applicant, answer.code)) forgetPendingKey(deps.identityPath, purpose);
    throw refusal(answer, present);
  });
}

/** A board asks on by its label with the same key, unless that was certified for a former owner. */
function isKeyDone({ kind }: Applicant, code: ErrorCode): boolean {
  return code === 'CSR_INVALID' || (kind === 'code' && !ERRORS[code].retry);
}

function exists({ deviceId }: Identity): LenscapError {
  return new LenscapError(
    'IDENTITY_EXISTS',
    `it is ${deviceId}; a code for a new camera needs \`lenscap-agent reset\` first`,
  );
}

function refusal(
  { code, detail }: Extract<ClaimAnswer, { kind: 'refused' }>,
  present: Identity | null,
): LenscapError {
  const why = detail === '' ? 'ask for a new one' : detail;
  return new LenscapError(
    code,
    present === null ? why : `${why} (this board is ${present.deviceId})`,
  );
}

/** Where to ask, whom to believe there, and how to prove who asks. */
interface Ways {
  readonly server: Address;
  /** PEM. */
  readonly ca: string;
  readonly pair: Pair | null;
  readonly exchange: Exchange;
  readonly proof: (socket: TLSSocket, csr: Uint8Array) => Uint8Array;
}

async function waysOf(applicant: Applicant, signal: AbortSignal): Promise<Ways> {
  if (applicant.kind === 'board') {
    const { server, ca, serial, privateKey, certificate } = applicant.factory;
    const pair = { privateKey, certificate };
    const exchange = { kind: 'board', serial } as const;
    return { server, ca, pair, exchange, proof: () => Buffer.alloc(0) };
  }
  const { host, port, caFingerprint, secret } = applicant.code;
  const server = { host, port };
  const ca = await fetchAuthority(
    server,
    (der) => hash('sha256', der, 'buffer').subarray(0, caFingerprint.length).equals(caFingerprint),
    CONNECT_TIMEOUT_MS,
    signal,
  ).catch((error: unknown) => throwLost(server, error, signal));
  if (ca === undefined)
    throw new LenscapError(
      'SERVER_UNTRUSTED',
      `${host}:${port} is not of the authority that the code names; nothing was sent to it`,
    );
  const proofKey = proofKeyOf(secret);
  return {
    server,
    ca,
    pair: null,
    exchange: { kind: 'claim', claimId: claimIdOf(secret) },
    proof: (socket, csr) => proofOf(proofKey, sessionSecretOf(socket), csr),
  };
}

function throwLost({ host, port }: Address, error: unknown, signal: AbortSignal): never {
  signal.throwIfAborted();
  const { code, detail } = lostBecause(error);
  const at = `${host}:${port}`;
  if (isUntrusted(error))
    throw new LenscapError('SERVER_UNTRUSTED', `${at}: ${detail}`, { cause: error });
  if (code === 'IDENTITY_REFUSED')
    throw new LenscapError('CLAIM_REFUSED', `${at} does not let this board ask`, { cause: error });
  throw new LenscapError('UPLINK_LOST', `${at}: ${detail}`, { cause: error });
}

async function ask(
  { time, onStep }: ExchangeDeps,
  { server, ca, pair, exchange, proof }: Ways,
  who: { readonly key: KeyObject; readonly deviceId: string | null },
  signal: AbortSignal,
): Promise<ClaimAnswer> {
  const lost = (error: unknown) => throwLost(server, error, signal);
  const socket = await dial(
    { server, ca, pair, timeoutMs: CONNECT_TIMEOUT_MS, time },
    signal,
  ).catch(lost);
  onStep(`connected to ${server.host}:${server.port}, which is the right server`);
  const topic = claimTopic(exchange, 'answer');
  let answered: Uint8Array | undefined;
  const session = await openSession(
    {
      socket,
      clientId: exchangeId(exchange),
      keepaliveS: KEEPALIVE_S,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      ackTimeoutMs: ANSWER_TIMEOUT_MS,
      topics: [topic],
      onMessage: (from, payload) => {
        if (from === topic) answered ??= payload;
      },
    },
    signal,
  ).catch(lost);
  const onAbort = () => session.drop(new Error('stopped'));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const csr = makeRequest(who.key);
    const request = { csr, proof: proof(socket, csr), deviceId: who.deviceId };
    await session
      .publish(claimTopic(exchange, 'request'), encodeClaimRequest(request))
      // The answer comes first, and the server may hang up behind it.
      .catch((error: unknown) => answered ?? lost(error));
    return decodeClaimAnswer(answered ?? lost(new Error('the server gave no answer')));
  } finally {
    signal.removeEventListener('abort', onAbort);
    await session.close();
  }
}

/** On a board that is admitted again both pairs are kept until the new one was used once. */
function save(deps: ExchangeDeps, present: Identity | null, fresh: IdentityBundle): Identity {
  const { identityPath, stateDir, onStep } = deps;
  const previous =
    present === null ? null : { privateKey: present.privateKey, certificate: present.certificate };
  const bundle = { ...fresh, previous };
  if (present === null) {
    // Whoever was the owner before leaves nothing to the next one.
    eraseOwnership(stateDir);
    createSecret(identityPath, JSON.stringify(bundle));
  } else replaceSecret(identityPath, JSON.stringify(bundle));
  forgetPendingKeys(identityPath);
  onStep(`saved as ${identityPath}`);
  return identityOf(bundle, identityPath);
}
