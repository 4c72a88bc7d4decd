// Where boards are that have no identity yet: through TLS without a certificate of ours, or with the
// one their maker gave them. INVARIANT: such a connection can do nothing but ask for its identity
// under its own exchange, a few times, in small packets, for a short time; the answer is written
// before its PUBACK. Nobody can fill it so that others stay out.
import type { TLSSocket } from 'node:tls';
import type { Client, PublishPacket } from 'aedes';
import type { Logger } from 'pino';
import {
  type ClaimAnswer,
  type ClaimRequest,
  decodeClaimRequest,
  encodeClaimAnswer,
  sessionSecretOf,
} from '../../proto/claim.ts';
import { ERRORS, type ErrorCode, toLenscapError } from '../../proto/errors.ts';
import type { ServerConfig } from '../../proto/server-config.ts';
import { claimTopic, type Exchange, exchangeId, parseClaimTopic } from '../../proto/topics.ts';
import { Attempts } from './attempts.ts';
import { type Refused, refused, whyNotAsked } from './authorize.ts';
import { type Guest, networkOf, whoMakesRoom } from './crowd.ts';
import type { Guard } from './guard.ts';
import { keySha256Of, type Peer } from './peer.ts';
import { send } from './send.ts';
import { Tally } from './tally.ts';

/** What answers a board; see fleet/claims.ts. */
export interface Answering {
  answer(
    from: {
      readonly exchange: Exchange;
      readonly sessionSecret: Buffer;
      readonly keySha256: string | null;
    },
    request: ClaimRequest,
  ): Promise<ClaimAnswer>;
}

export interface QuarantineDeps {
  readonly config: ServerConfig['claims'];
  readonly claims: Answering;
  /** Monotonic. */
  readonly nowMs: () => number;
  readonly log: Logger;
}

interface Visit extends Guest {
  readonly exchange: Exchange;
  readonly guard: Guard;
  readonly socket: TLSSocket;
  readonly peer: Peer;
  requests: number;
  isAsking: boolean;
}

/** From the accepted CONNECT to the end, whatever happens. */
const LIFE_MS = 10_000;
const MAX_REQUESTS = 5;
/** For the guard: a request is about 400 bytes. One is in flight, the rest waits. */
const LIMITS = { maxPacketBytes: 8192, maxControlBytes: 1024, maxControlPerS: 10, maxInflight: 1 };
/** For what may go better a little later, such as a full disk. */
const RETRY_AFTER_S = 10;

export class Quarantine {
  readonly #deps: QuarantineDeps;
  readonly #visits = new Map<Client, Visit>();
  readonly #attempts: Attempts;
  readonly #answers = new Tally<'issued' | ErrorCode>();

  constructor(deps: QuarantineDeps) {
    this.#deps = deps;
    this.#attempts = new Attempts(deps.config, deps.nowMs);
  }

  /** Lets a board in for a short time, or says why not. */
  admit(
    client: Client,
    { guard, socket, peer }: { guard: Guard; socket: TLSSocket; peer: Peer },
    exchange: Exchange,
  ): Refused | undefined {
    const network = networkOf(peer.address);
    if (this.#attempts.isLimited(network)) return refused('limited');
    if (guard.destroyed) return refused('gone');
    if (!this.#hasRoom(network)) return refused('busy');
    const visit = { exchange, guard, socket, peer, network, requests: 0, isAsking: false };
    this.#visits.set(client, visit);
    const timer = setTimeout(() => guard.destroy(), LIFE_MS);
    guard.once('close', () => {
      clearTimeout(timer);
      this.#visits.delete(client);
    });
    guard.authenticated(LIMITS);
    return undefined;
  }

  has(client: Client): boolean {
    return this.#visits.has(client);
  }

  /** Its own answer, and nothing else. */
  mayHear(client: Client, topic: string): boolean {
    const visit = this.#visits.get(client);
    return visit !== undefined && parseClaimTopic(visit.exchange, topic) === 'answer';
  }

  /** Resolves when PUBACK may be written; rejects to cut the connection without one. */
  async take(client: Client, packet: PublishPacket, payload: Buffer): Promise<void> {
    const visit = this.#visits.get(client);
    if (!visit || visit.guard.destroyed) throw new Error('no visit');
    const refusal = whyNotAsked(visit.exchange, packet);
    if (refusal !== undefined) throw new Error(refusal);
    visit.requests += 1;
    if (visit.requests > MAX_REQUESTS) throw new Error(`more than ${MAX_REQUESTS} requests`);
    visit.isAsking = true;
    try {
      const answer = await this.#answer(visit, payload);
      this.#note(visit, answer);
      await send(client, claimTopic(visit.exchange, 'answer'), encodeClaimAnswer(answer));
    } finally {
      visit.isAsking = false;
    }
  }

  /** Open now. */
  get size(): number {
    return this.#visits.size;
  }

  /** Answers since the start: `issued`, or the error code. */
  claimCounts(): Readonly<Record<string, number>> {
    return this.#answers.counts;
  }

  /** Makes room where it is fair. */
  #hasRoom(network: string): boolean {
    if (this.#visits.size < this.#deps.config.maxConnections) return true;
    const leaving = whoMakesRoom(this.#visits, network);
    if (leaving === undefined) return false;
    const visit = this.#visits.get(leaving);
    this.#deps.log.warn({ from: visit?.peer.address }, 'it makes room for a board from elsewhere');
    this.#visits.delete(leaving);
    visit?.guard.destroy();
    return true;
  }

  async #answer(visit: Visit, payload: Buffer): Promise<ClaimAnswer> {
    const retryAfterS = this.#attempts.begin(visit.network);
    if (retryAfterS > 0) {
      const detail = `ask again in ${retryAfterS} s`;
      return { kind: 'refused', code: 'RATE_LIMITED', detail, retryAfterS };
    }
    try {
      const request = decodeClaimRequest(payload);
      const sessionSecret = sessionSecretOf(visit.socket);
      const keySha256 = keySha256Of(visit.peer);
      const { exchange } = visit;
      return await this.#deps.claims.answer({ exchange, sessionSecret, keySha256 }, request);
    } catch (thrown) {
      const { code, detail } = toLenscapError(thrown);
      if (ERRORS[code].http >= 500) this.#deps.log.error({ err: thrown }, 'a claim failed');
      return {
        kind: 'refused',
        code,
        detail: code === 'BUG' ? 'the server failed; its log says why' : detail,
        retryAfterS: ERRORS[code].retry ? RETRY_AFTER_S : 0,
      };
    }
  }

  #note({ exchange, peer, network }: Visit, answer: ClaimAnswer): void {
    const named = exchangeId(exchange);
    if (answer.kind === 'issued') {
      this.#answers.add('issued');
      // Not from where: that would be device information.
      this.#deps.log.info({ exchange: named, deviceId: answer.deviceId }, 'identity issued');
      return;
    }
    const said = { exchange: named, from: peer.address };
    const { code, detail } = answer;
    this.#answers.add(code);
    if (!ERRORS[code].retry) this.#attempts.failed(network);
    this.#deps.log[ERRORS[code].retry ? 'info' : 'warn'](
      { ...said, code, detail },
      'claim refused',
    );
  }
}
