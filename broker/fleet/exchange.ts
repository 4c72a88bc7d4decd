// The server's side of the exchange: a board asks for an identity, vouched for by a setup code or by
// the factory key of an enrolled board that an owner claimed. Who proves nothing learns nothing.
// INVARIANT: device, first ledger record, certificate and the claim bound to its key come to be in one
// transaction. Until the certificate is used the same key is answered the same; no other key ever is.
import type { KeyObject } from 'node:crypto';
import { type ClaimAnswer, type ClaimRequest, isProof, proofOf } from '../../proto/claim.ts';
import { LenscapError } from '../../proto/errors.ts';
import type { ServerConfig } from '../../proto/server-config.ts';
import { type Exchange, exchangeId } from '../../proto/topics.ts';
import type { Consent } from '../consent/consent.ts';
import type { BoardRow } from '../store/boards.ts';
import type { CertificateRow } from '../store/certificates.ts';
import type { ClaimRow } from '../store/claims.ts';
import type { Rows, Store } from '../store/store.ts';
import type { Authority } from './authority.ts';
import { isFactoryKey } from './boards.ts';
import type { Certificates } from './certificates.ts';
import { requestedKey } from './csr.ts';
import {
  type Asked,
  judgeBoard,
  judgeClaim,
  notEnrolled,
  refused,
  type Standing,
  whyVoid,
} from './judgement.ts';
import { openProofKey } from './proof-key.ts';
import { refusalOf } from './refusal.ts';
import { isState, nextState } from './states.ts';
import { Waiting } from './waiting.ts';

/** A board that waits is noted this seldom, so that thousands of them do not wear the disk. */
const SEEN_EVERY_US = 60_000_000;

export interface Sender {
  readonly exchange: Exchange;
  /** Of the TLS session, see proto/claim.ts. */
  readonly sessionSecret: Buffer;
  /** SHA-256 of the key (SPKI DER) of the TLS client certificate, lower-case hex; null without one. */
  readonly keySha256: string | null;
}

export interface ExchangeDeps {
  readonly store: Store;
  readonly authority: Authority;
  readonly certificates: Certificates;
  readonly consent: Consent;
  readonly consentPublicKey: KeyObject;
  readonly config: ServerConfig['claims'];
  /** Where devices connect. */
  readonly address: () => Promise<{ readonly host: string; readonly port: number }>;
  readonly nowUs: () => number;
}

type Judge = (rows: Rows, asked: Asked) => Promise<Standing>;

export class Exchanges {
  readonly #deps: ExchangeDeps;
  /** The last of each exchange that is being answered; the next waits for it. */
  readonly #inFlight = new Map<string, Promise<ClaimAnswer>>();
  readonly #waiting = new Waiting();

  constructor(deps: ExchangeDeps) {
    this.#deps = deps;
  }

  /** Answers; one at a time for an exchange, in the order of asking. */
  async answer(from: Sender, request: ClaimRequest): Promise<ClaimAnswer> {
    const id = exchangeId(from.exchange);
    const before = this.#inFlight.get(id);
    const answering = (async () => {
      await before?.catch(() => undefined);
      return this.#answer(from, request);
    })();
    this.#inFlight.set(id, answering);
    try {
      return await answering;
    } finally {
      if (this.#inFlight.get(id) === answering) this.#inFlight.delete(id);
    }
  }

  async #answer(from: Sender, request: ClaimRequest): Promise<ClaimAnswer> {
    const { exchange } = from;
    try {
      return exchange.kind === 'claim'
        ? await this.#answerClaim(exchange.claimId, from, request)
        : await this.#answerBoard(exchange.serial, from, request);
    } catch (error) {
      return refusalOf(error);
    }
  }

  async #answerClaim(claimId: string, from: Sender, request: ClaimRequest): Promise<ClaimAnswer> {
    const { store, config } = this.#deps;
    const claim = await store.claims.byId(claimId);
    if (!claim || claim.cancelled_at_us !== null) throw refused();
    if (!(await this.#isProved(claim, from, request))) {
      // Beyond the limit nothing is left to count, and a guess shall cost no write.
      if (claim.failures < config.failures && claim.used_at_us === null)
        await store.claims.countFailure(claimId, 'CLAIM_REFUSED', config.failures);
      throw refused();
    }
    try {
      whyVoid(claim, config.failures);
      return await this.#issue(request, (rows, asked) =>
        judgeClaim(rows, claimId, asked, config.failures),
      );
    } catch (error) {
      // The owner shall see why; where the disk is full, at least the board is told.
      if (error instanceof LenscapError)
        await store.claims.noteFailure(claimId, error.code).catch(() => undefined);
      throw error;
    }
  }

  async #isProved(claim: ClaimRow, from: Sender, request: ClaimRequest): Promise<boolean> {
    const accountKey = await this.#deps.store.keys.account(claim.account_id);
    const expected = proofOf(openProofKey(accountKey, claim), from.sessionSecret, request.csr);
    return isProof(request.proof, expected);
  }

  async #answerBoard(serial: string, from: Sender, request: ClaimRequest): Promise<ClaimAnswer> {
    const { store, nowUs } = this.#deps;
    const board = await store.boards.bySerial(serial);
    if (!board || !isFactoryKey(board, from.keySha256) || board.state === 'revoked')
      throw notEnrolled();
    await this.#noteSeen(board, nowUs());
    if (board.account_id === null) {
      const isWaiting = new LenscapError('CLAIM_WAITING', 'claim it by the code on its label');
      return refusalOf(isWaiting, this.#waiting.note(serial, nowUs()));
    }
    this.#waiting.forget(serial);
    return this.#issue(request, (rows, asked) => judgeBoard(rows, serial, asked));
  }

  async #issue(request: ClaimRequest, judge: Judge): Promise<ClaimAnswer> {
    const { store, consent, certificates, nowUs } = this.#deps;
    const requested = await requestedKey(request.csr);
    const first = await judge(store, { request, requested, nowUs: nowUs() });
    if ('pem' in first) return this.#issued(first);
    const made = await certificates.issue(first.device.device_id, requested);
    const issued = await store.inTransaction(async (rows) => {
      // Somebody may have cancelled or withdrawn meanwhile.
      const now = await judge(rows, { request, requested, nowUs: nowUs() });
      if ('pem' in now) return now;
      const { device, isNew, bind } = first;
      if (now.device.account_id !== device.account_id) throw refused();
      if (isNew) {
        await rows.devices.add(device);
        const by = { actor: device.account_id, how: device.serial ? 'label' : 'setup code' };
        await consent.endIn(rows.consent, device, 'OWNER_CHANGED', by);
      }
      await rows.certificates.add(made);
      await bind(rows);
      return made;
    });
    if (first.isNew) await consent.tellOf(issued.device_id);
    return this.#issued(issued);
  }

  async #issued(certificate: CertificateRow): Promise<ClaimAnswer> {
    const { authority, consentPublicKey, address } = this.#deps;
    return {
      kind: 'issued',
      deviceId: certificate.device_id,
      certificate: certificate.pem,
      ca: authority.certificate,
      consentKey: consentPublicKey.export({ type: 'spki', format: 'pem' }).toString(),
      server: await address(),
    };
  }

  async #noteSeen(board: BoardRow, nowUs: number): Promise<void> {
    if (!isState(board.state)) return;
    const state = nextState(board.state, 'seen');
    const isRecent = nowUs - (board.last_seen_at_us ?? 0) < SEEN_EVERY_US;
    if (state !== board.state || !isRecent)
      await this.#deps.store.boards.seen(board.serial, state, nowUs);
  }
}
