// What an exchange leads to, decided on the rows as they stand: a certificate that was issued for this
// very key before, or a device to issue one for. Asked once to spare the work, and once more in the
// transaction that does it.
import type { ClaimRequest } from '../../proto/claim.ts';
import { LenscapError } from '../../proto/errors.ts';
import type { CertificateRow } from '../store/certificates.ts';
import type { ClaimRow } from '../store/claims.ts';
import type { DeviceRow } from '../store/devices.ts';
import type { Rows } from '../store/store.ts';
import type { RequestedKey } from './csr.ts';
import { newDevice } from './new-device.ts';
import { isState, nextState } from './states.ts';

/** What a board asks for, and when. */
export interface Asked {
  readonly request: ClaimRequest;
  readonly requested: RequestedKey;
  readonly nowUs: number;
}

/** What an exchange is about to lead to: to a new device, or to one that there is. */
export interface Plan {
  readonly device: DeviceRow;
  readonly isNew: boolean;
  /** Notes in the same transaction what the identity was given for. */
  readonly bind: (rows: Rows) => Promise<void>;
}

/** A certificate that was issued for this very key before, or what to do. */
export type Standing = CertificateRow | Plan;

/** What the claim with this id leads to, for who has proved to know its code. */
export async function judgeClaim(
  rows: Rows,
  claimId: string,
  { request, requested, nowUs }: Asked,
  failures: number,
): Promise<Standing> {
  const claim = await rows.claims.byId(claimId);
  if (!claim || claim.cancelled_at_us !== null) throw refused();
  whyVoid(claim, failures);
  if (claim.key_sha256 !== null) return repeated(rows, claim.key_sha256, requested, nowUs);
  if (claim.expires_at_us <= nowUs)
    throw new LenscapError('CLAIM_EXPIRED', 'ask the owner for a new one');
  await whyNotFresh(rows, requested);
  const { account_id: accountId, name } = claim;
  if (claim.is_readmission === 0) {
    if (request.deviceId !== null) throw resetFirst();
    const device = newDevice({ accountId, name, state: 'waiting', serial: null, nowUs });
    return { device, isNew: true, bind: bindClaim(claim, device, requested) };
  }
  const device = await rows.devices.byId(claim.device_id ?? '');
  if (!device || device.account_id !== accountId) throw refused();
  if (request.deviceId !== null && request.deviceId !== device.device_id)
    throw new LenscapError('CLAIM_REFUSED', 'it is for another camera of its owner');
  if (isState(device.state)) nextState(device.state, 'readmitted');
  return { device, isNew: false, bind: bindClaim(claim, device, requested) };
}

/** What the board with this serial number leads to, for who has proved to have its key. */
export async function judgeBoard(
  rows: Rows,
  serial: string,
  { request, requested, nowUs }: Asked,
): Promise<Standing> {
  const board = await rows.boards.bySerial(serial);
  if (!board || board.state === 'revoked' || board.account_id === null) throw notEnrolled();
  if (board.device_id !== null) {
    const known = await rows.certificates.byKey(requested.keySha256);
    const isSame = known?.device_id === board.device_id && known.used_at_us === null;
    return repeated(rows, isSame ? requested.keySha256 : '', requested, nowUs);
  }
  if (request.deviceId !== null) throw resetFirst();
  await whyNotFresh(rows, requested);
  const device = newDevice({
    accountId: board.account_id,
    name: board.name ?? serial,
    state: 'waiting',
    serial,
    nowUs,
  });
  return {
    device,
    isNew: true,
    bind: (bound) => bound.boards.setDevice(serial, device.device_id),
  };
}

/** The same words for a code that does not exist, is cancelled, or was not proved. */
export function refused(): LenscapError {
  return new LenscapError('CLAIM_REFUSED', 'check it, or ask the owner for a new one');
}

/** The same words for a serial number and a key that are not enrolled together, and for a revoked one. */
export function notEnrolled(): LenscapError {
  return new LenscapError('CLAIM_REFUSED', 'no board with this serial number and key is enrolled');
}

function resetFirst(): LenscapError {
  return new LenscapError('CLAIM_REFUSED', 'the board is a camera already; reset it first');
}

/** @throws when the claim is of no use to anybody any more. */
export function whyVoid(claim: ClaimRow, failures: number): void {
  if (claim.used_at_us !== null)
    throw new LenscapError('CLAIM_USED', 'each code is good for one camera; ask for a new one');
  if (claim.failures >= failures)
    throw new LenscapError('CLAIM_EXHAUSTED', 'ask the owner for a new one');
}

/** The certificate of the key that was answered first. Any other key comes too late. */
async function repeated(
  rows: Rows,
  boundKey: string,
  { keySha256 }: RequestedKey,
  nowUs: number,
): Promise<CertificateRow> {
  if (boundKey !== keySha256)
    throw new LenscapError('CLAIM_USED', 'another board, or another key, was first');
  const certificate = await rows.certificates.byKey(keySha256);
  if (!certificate || certificate.revoked_at_us !== null) throw refused();
  if (certificate.not_after_us <= nowUs)
    throw new LenscapError('CLAIM_EXPIRED', 'so has the certificate; ask the owner for a new code');
  return certificate;
}

async function whyNotFresh(rows: Rows, { keySha256 }: RequestedKey): Promise<void> {
  if (await rows.certificates.byKey(keySha256))
    throw new LenscapError('CSR_INVALID', 'its key has a certificate already; make a fresh one');
}

function bindClaim(claim: ClaimRow, device: DeviceRow, { keySha256 }: RequestedKey): Plan['bind'] {
  return (rows) => rows.claims.bind(claim.claim_id, device.device_id, keySha256);
}
