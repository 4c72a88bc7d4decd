// Claims, from the owner's side: setup codes, and boards claimed by the code on their label. The secret
// of a setup code is told once and kept nowhere; what a board asks is answered in exchange.ts.
import { randomBytes } from 'node:crypto';
import { type ClaimAnswer, type ClaimRequest, claimIdOf, proofKeyOf } from '../../proto/claim.ts';
import { LenscapError } from '../../proto/errors.ts';
import { decodeLabelCode, encodeSetupCode, SECRET_BYTES } from '../../proto/setup-code.ts';
import type { ClaimRow } from '../store/claims.ts';
import type { Rows } from '../store/store.ts';
import { isLabelOf } from './boards.ts';
import { type ExchangeDeps, Exchanges, type Sender } from './exchange.ts';
import { sealProofKey } from './proof-key.ts';
import { isState, nextState } from './states.ts';
import { WrongLabels } from './wrong-labels.ts';

/** How long an owner sees what became of his codes. */
const SHOWN_US = 7 * 86_400_000_000;

export interface ClaimsDeps extends ExchangeDeps {
  /** Called after each change of a device. */
  readonly changed: (deviceId: string) => void;
}

export class Claims {
  readonly #deps: ClaimsDeps;
  readonly #exchanges: Exchanges;
  readonly #wrongLabels = new WrongLabels();

  constructor(deps: ClaimsDeps) {
    this.#deps = deps;
    this.#exchanges = new Exchanges(deps);
  }

  /**
   * Makes a setup code of an owner, for a new camera or to re-admit one that he has.
   * @throws NOT_FOUND, STATE_INVALID.
   */
  async create(
    accountId: string,
    { name, deviceId }: { readonly name: string; readonly deviceId: string | null },
  ): Promise<{ claimId: string; code: string; expiresAtUs: number }> {
    const { store, authority, config, address } = this.#deps;
    if (deviceId !== null) await this.#mayBeReadmitted(accountId, deviceId);
    const nowUs = this.#deps.nowUs();
    const secret = randomBytes(SECRET_BYTES);
    const named = { account_id: accountId, claim_id: claimIdOf(secret) };
    const accountKey = await store.keys.account(accountId);
    const { host, port } = await address();
    const expiresAtUs = nowUs + config.lifeS * 1_000_000;
    await store.claims.dropUnused(accountId, nowUs - SHOWN_US);
    await store.claims.add({
      ...named,
      name,
      sealed_proof_key: sealProofKey(accountKey, named, proofKeyOf(secret)),
      created_at_us: nowUs,
      expires_at_us: expiresAtUs,
      failures: 0,
      last_failure: null,
      device_id: deviceId,
      is_readmission: deviceId === null ? 0 : 1,
      key_sha256: null,
      used_at_us: null,
      cancelled_at_us: null,
    });
    const code = encodeSetupCode({ host, port, secret, caFingerprint: authority.fingerprint });
    return { claimId: named.claim_id, code, expiresAtUs };
  }

  /** The claims of an owner, newest first. */
  list(accountId: string): Promise<ClaimRow[]> {
    return this.#deps.store.claims.ofAccount(accountId, this.#deps.nowUs() - SHOWN_US);
  }

  /**
   * Voids a setup code. A certificate that it led to and that was not used yet is void with it.
   * @throws NOT_FOUND, CLAIM_USED when there is a camera by it already.
   */
  async cancel(accountId: string, claimId: string): Promise<void> {
    const deviceId = await this.#deps.store.inTransaction((rows) =>
      this.#cancel(rows, accountId, claimId),
    );
    if (deviceId !== null) this.#deps.changed(deviceId);
  }

  /**
   * Claims an enrolled board by the code on its label.
   * @throws CODE_INVALID, CLAIM_REFUSED, CLAIM_USED, RATE_LIMITED.
   */
  async claimBoard(
    accountId: string,
    { label, name }: { readonly label: string; readonly name: string },
  ): Promise<{ serial: string; model: string }> {
    const code = decodeLabelCode(label);
    return this.#deps.store.inTransaction(async (rows) => {
      const nowUs = this.#deps.nowUs();
      // Here, where they come one after another, so that many at once are no way around it.
      this.#wrongLabels.check(accountId, nowUs);
      const board = await rows.boards.bySerial(code.serial);
      if (!board || !isLabelOf(code, board) || board.state === 'revoked') {
        this.#wrongLabels.note(accountId, nowUs);
        throw new LenscapError('CLAIM_REFUSED', 'no board with this label can be claimed');
      }
      if (board.account_id !== null)
        throw new LenscapError('CLAIM_USED', 'the board is claimed; its owner has to release it');
      await rows.boards.claim(board.serial, accountId, name);
      return { serial: board.serial, model: board.model };
    });
  }

  /** Answers a board that asks for an identity. Throws for nothing that a stranger can cause. */
  answer(from: Sender, request: ClaimRequest): Promise<ClaimAnswer> {
    return this.#exchanges.answer(from, request);
  }

  async #mayBeReadmitted(accountId: string, deviceId: string): Promise<void> {
    const device = await this.#deps.store.devices.byId(deviceId);
    if (device?.account_id !== accountId)
      throw new LenscapError('NOT_FOUND', 'no such camera among yours');
    if (isState(device.state)) nextState(device.state, 'readmitted');
  }

  /** Returns the device that is affected, if one is. */
  async #cancel(rows: Rows, accountId: string, claimId: string): Promise<string | null> {
    const nowUs = this.#deps.nowUs();
    const claim = await rows.claims.byId(claimId);
    if (claim?.account_id !== accountId)
      throw new LenscapError('NOT_FOUND', 'no such setup code among yours');
    if (claim.used_at_us !== null)
      throw new LenscapError('CLAIM_USED', 'there is a camera by it; release that instead');
    if (claim.cancelled_at_us !== null) return null;
    await rows.claims.cancel(claimId, nowUs);
    if (claim.key_sha256 === null || claim.device_id === null) return null;
    const certificate = await rows.certificates.byKey(claim.key_sha256);
    if (certificate) await rows.certificates.revoke(certificate.serial, nowUs);
    const device = await rows.devices.byId(claim.device_id);
    if (claim.is_readmission === 0 && device?.state === 'waiting') {
      const state = nextState('waiting', 'revoked');
      const note = { state, state_at_us: nowUs, state_reason: 'cancelled' };
      await rows.devices.setState(claim.device_id, note);
    }
    return claim.device_id;
  }
}
