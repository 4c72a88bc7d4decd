// Certificates of devices: issued for a key that the device made, renewed with an overlap, and void
// the moment the index says so. Of a device's certificates the one used last is the only one valid,
// besides one that is waiting for its first use.
import { type ErrorCode, LenscapError } from '../../proto/errors.ts';
import type { Renewed } from '../../proto/renewal.ts';
import type { CertificateRow, Presented } from '../store/certificates.ts';
import type { DeviceRow } from '../store/devices.ts';
import type { Rows, Store } from '../store/store.ts';
import type { Authority } from './authority.ts';
import { type RequestedKey, requestedKey } from './csr.ts';
import { refusalOf } from './refusal.ts';
import { isState, MAY, nextState, TRANSITIONS } from './states.ts';

/** Devices ask from two thirds of the life on; their clocks may be off by some. */
const EARLIEST_RENEWAL = 0.6;
/** Certificates in a day that a device asks for and never uses; each is a row that stays. */
const MAX_UNUSED = 8;
const DAY_US = 86_400e6;

export interface CertificatesDeps {
  readonly store: Rows & Pick<Store, 'inTransaction'>;
  readonly authority: Authority;
  readonly lifeS: number;
  readonly nowUs: () => number;
  /** Called after each change of a device. */
  readonly changed: (deviceId: string) => void;
}

/** Whether a certificate lets somebody in, and to what. */
export type Admission =
  | {
      readonly kind: 'device' | 'farewell';
      readonly device: DeviceRow;
      readonly certificate: CertificateRow;
    }
  | { readonly kind: 'refused'; readonly why: string };

export class Certificates {
  readonly #deps: CertificatesDeps;

  constructor(deps: CertificatesDeps) {
    this.#deps = deps;
  }

  /** Makes the certificate of a device for a key. It counts once the row is in the index. */
  async issue(deviceId: string, { key }: Pick<RequestedKey, 'key'>): Promise<CertificateRow> {
    const made = await this.#deps.authority.certify(deviceId, key, this.#deps.lifeS);
    return {
      serial: made.serial,
      device_id: deviceId,
      fingerprint: made.fingerprint,
      key_sha256: made.keySha256,
      pem: made.certificate,
      issued_at_us: made.issuedAtUs,
      not_after_us: made.notAfterUs,
      used_at_us: null,
      revoked_at_us: null,
    };
  }

  /** Who presents the certificate with this serial and fingerprint (both lower-case hex). */
  async check(serial: string, fingerprint: string): Promise<Admission> {
    const presented = await this.#deps.store.certificates.presented(serial);
    if (presented?.certificate.fingerprint !== fingerprint)
      return { kind: 'refused', why: 'the certificate is not known' };
    const { device, certificate } = presented;
    if (certificate.revoked_at_us !== null)
      return { kind: 'refused', why: 'the certificate is revoked' };
    if (certificate.not_after_us <= this.#deps.nowUs())
      return { kind: 'refused', why: 'the certificate has expired' };
    if (!isState(device.state)) return { kind: 'refused', why: 'no such device' };
    const { connect } = MAY[device.state];
    if (connect === 'device' || connect === 'farewell')
      return { kind: connect, device, certificate };
    if (await this.#isReadmitted(presented)) return { kind: 'device', device, certificate };
    return { kind: 'refused', why: `the device is ${device.state}` };
  }

  /**
   * The device, when somebody comes with the certificate that its present one has replaced by renewal:
   * a board erases the old pair once the new one was taken, so there are two boards, and nobody can
   * say which of them renewed. Undefined when it is no sign of that.
   */
  async twin(serial: string, fingerprint: string): Promise<DeviceRow | undefined> {
    const { certificates, claims, devices } = this.#deps.store;
    const old = await certificates.bySerial(serial);
    if (!old || old.fingerprint !== fingerprint || old.revoked_at_us === null) return undefined;
    if (old.used_at_us === null) return undefined;
    const successor = (await certificates.ofDevice(old.device_id)).find(
      ({ used_at_us, revoked_at_us }) => revoked_at_us === null && used_at_us === old.revoked_at_us,
    );
    if (!successor || (await claims.byKey(successor.key_sha256))) return undefined;
    const device = await devices.byId(old.device_id);
    const maySuspend = device && isState(device.state) && TRANSITIONS[device.state].suspended;
    return maySuspend ? device : undefined;
  }

  /**
   * Notes the first use of a certificate; has to be through before the device is let in. Every other
   * certificate of the device ends, and the claim behind it cannot be repeated any more.
   */
  async used(serial: string): Promise<void> {
    const { store, changed } = this.#deps;
    const known = await store.certificates.bySerial(serial);
    if (!known || known.used_at_us !== null) return;
    const isFirst = await store.inTransaction((rows) => this.#use(rows, serial));
    if (isFirst) changed(known.device_id);
  }

  /** Answers a device, connected with the certificate `serial`, that asks for the next one. */
  async renew(deviceId: string, serial: string, csr: Uint8Array): Promise<Renewed> {
    try {
      const requested = await requestedKey(csr);
      const known = await this.#renewal(this.#deps.store, deviceId, serial, requested);
      if (known) return { kind: 'issued', certificate: known.pem };
      const made = await this.issue(deviceId, requested);
      return await this.#deps.store.inTransaction(async (rows) => {
        const meanwhile = await this.#renewal(rows, deviceId, serial, requested);
        if (meanwhile) return { kind: 'issued', certificate: meanwhile.pem };
        for (const pending of await rows.certificates.pendingRenewals(deviceId, made.issued_at_us))
          await rows.certificates.revoke(pending.serial, made.issued_at_us);
        await rows.certificates.add(made);
        return { kind: 'issued', certificate: made.pem };
      });
    } catch (error) {
      const { code, detail } = refusalOf(error);
      return { kind: 'refused', code, detail };
    }
  }

  /** The certificate that this key was given already, undefined when one is to be made. */
  async #renewal(
    rows: Rows,
    deviceId: string,
    serial: string,
    { keySha256 }: RequestedKey,
  ): Promise<CertificateRow | undefined> {
    const nowUs = this.#deps.nowUs();
    const device = await rows.devices.byId(deviceId);
    const present = await rows.certificates.bySerial(serial);
    const refusal = whyNotRenewed(device, present);
    if (refusal || !present) throw refusal;
    const pending = await rows.certificates.pendingRenewals(deviceId, nowUs);
    const same = pending.find(({ key_sha256 }) => key_sha256 === keySha256);
    if (same) return same;
    if (await rows.certificates.byKey(keySha256))
      throw new LenscapError('CSR_INVALID', 'its key has a certificate already; make a fresh one');
    const lifeUs = present.not_after_us - present.issued_at_us;
    if (nowUs < present.issued_at_us + lifeUs * EARLIEST_RENEWAL)
      throw new LenscapError('RATE_LIMITED', 'it is too early; the certificate holds for long yet');
    if ((await rows.certificates.countUnused(deviceId, nowUs - DAY_US)) >= MAX_UNUSED)
      throw new LenscapError('RATE_LIMITED', 'it was given many today and used none of them');
    return undefined;
  }

  async #use(rows: Rows, serial: string): Promise<boolean> {
    const certificate = await rows.certificates.bySerial(serial);
    if (!certificate || certificate.used_at_us !== null || certificate.revoked_at_us !== null)
      return false;
    const nowUs = this.#deps.nowUs();
    const deviceId = certificate.device_id;
    const claim = await rows.claims.byKey(certificate.key_sha256);
    const device = await rows.devices.byId(deviceId);
    if (!device || !isState(device.state)) return false;
    await rows.certificates.setUsed(serial, nowUs);
    await rows.certificates.revokeAll(deviceId, nowUs, serial);
    if (claim?.used_at_us === null) await rows.claims.setUsed(claim.claim_id, nowUs);
    const event = firstUse(device.state, claim?.used_at_us === null && claim.is_readmission === 1);
    if (event === undefined) return true;
    const state = nextState(device.state, event);
    await rows.devices.setState(deviceId, { state, state_at_us: nowUs, state_reason: null });
    return true;
  }

  /** A suspended device comes back by a setup code of its owner, even if it is a clone's twin. */
  async #isReadmitted({ device, certificate }: Presented): Promise<boolean> {
    if (device.state !== 'suspended' || certificate.used_at_us !== null) return false;
    const claim = await this.#deps.store.claims.byKey(certificate.key_sha256);
    return claim?.is_readmission === 1 && claim.cancelled_at_us === null;
  }
}

/** The event that a first use is, if it is one. */
function firstUse(
  state: DeviceRow['state'],
  isReadmission: boolean,
): 'connected' | 'readmitted' | undefined {
  if (state === 'waiting') return 'connected';
  const isOver = state === 'released' || state === 'revoked';
  return isReadmission && !isOver ? 'readmitted' : undefined;
}

function whyNotRenewed(
  device: DeviceRow | undefined,
  present: CertificateRow | undefined,
): LenscapError | undefined {
  const refused = (code: ErrorCode, why: string): LenscapError => new LenscapError(code, why);
  if (!device || present?.device_id !== device.device_id || present.revoked_at_us !== null)
    return refused('IDENTITY_REFUSED', 'the present certificate is not valid');
  if (!isState(device.state) || MAY[device.state].connect !== 'device')
    return refused('STATE_INVALID', `it is ${device.state}; it gets no certificate`);
  return undefined;
}
