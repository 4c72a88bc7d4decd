// Consent: the only part that writes the ledger. Every change is one record, one epoch, one
// transaction; a withdrawal closes the gate in memory before it begins and is never refused.
import { type KeyObject, randomUUID } from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';
import { signGrant } from '../../proto/grant.ts';
import type { InfoField } from '../../proto/info.ts';
import { type GrantedSince, SCOPES, type Scope } from '../../proto/scopes.ts';
import { isState, MAY, nextState } from '../fleet/states.ts';
import type { ConsentRows, InForce, NextRecord, Standing } from '../store/consent-rows.ts';
import type { DeviceRow, Devices } from '../store/devices.ts';
import { type Draft, draft, narrowed, policyOf, widenedScopes, without } from './drafts.ts';
import type { ConsentGate } from './gate.ts';
import { infoParts, staying } from './info-parts.ts';
import { type LedgerRecord, ledgerRow, parseRecord } from './ledger.ts';
import { type Policy, parsePolicy } from './policy.ts';

export interface ConsentDeps {
  readonly rows: ConsentRows;
  readonly devices: Devices;
  readonly gate: ConsentGate;
  /** Ed25519, private. */
  readonly key: KeyObject;
  readonly leaseS: number;
  readonly nowUs: () => number;
  /** Called after each change, with the device to tell. */
  readonly changed: (deviceId: string) => void;
}

/** Who asks, and by which way. */
export interface Actor {
  readonly actor: string;
  readonly how: string;
}

const NOTHING: InForce = { epoch: 0, granted: new Map(), record: null };

export class Consent {
  readonly #deps: ConsentDeps;
  /** By policy, for what grants device information; published texts never change. */
  readonly #parts = new Map<string, readonly InfoField[]>();

  constructor(deps: ConsentDeps) {
    this.#deps = deps;
  }

  /** @throws NOT_FOUND before the first publication. */
  async policy(): Promise<Policy> {
    const row = await this.#deps.rows.policy();
    if (!row) throw new LenscapError('NOT_FOUND', 'no policy is published yet');
    return { document: parsePolicy(row.document, 'policy').document, sha256: row.sha256 };
  }

  /** The latest record of a device. */
  async current(deviceId: string): Promise<LedgerRecord> {
    const row = await this.#deps.rows.last(deviceId);
    if (!row) throw new LenscapError('NOT_FOUND', `no consent record of ${deviceId}`);
    return parseRecord(row);
  }

  async log(deviceId: string): Promise<LedgerRecord[]> {
    return (await this.#deps.rows.log(deviceId)).map(parseRecord);
  }

  /**
   * The owner grants scopes, besides those in force, under the policy with this hash.
   * @throws POLICY_STALE when another policy is in force by now, STATE_INVALID when the device's state
   * does not allow it.
   */
  async grant(
    device: DeviceRow,
    scopes: readonly Scope[],
    policySha256: string,
    by: Actor,
  ): Promise<LedgerRecord> {
    return this.#append(device, by, ({ granted, policies, state }) => {
      const [inForce] = policies;
      if (inForce?.sha256 !== policySha256)
        throw new LenscapError(
          'POLICY_STALE',
          `version ${inForce?.version} is in force; read it and consent to it`,
        );
      const granting = draft('GRANTED', [...granted.keys(), ...scopes], inForce);
      return { ...granting, state: this.#consented(state) };
    });
  }

  /** The owner withdraws scopes, or all. Never refused; withdrawing nothing is recorded as well. */
  async withdraw(device: DeviceRow, scopes: readonly Scope[], by: Actor): Promise<LedgerRecord> {
    this.#deps.gate.close(device.device_id, scopes);
    return this.#append(device, by, ({ granted, last }) =>
      narrowed('WITHDRAWN', without(granted, scopes), last),
    );
  }

  /** A device gets a new owner: the record with which its chain begins, and nothing granted. */
  async assign(device: DeviceRow, by: Actor): Promise<void> {
    await this.endIn(this.#deps.rows, device, 'OWNER_CHANGED', by);
    await this.tellOf(device.device_id);
  }

  /**
   * Ends everything granted, as part of a change of the device. `rows` are those of its transaction;
   * `tellOf` has to follow once that is through.
   */
  async endIn(
    rows: ConsentRows,
    device: DeviceRow,
    event: 'OWNER_CHANGED' | 'SUSPENDED' | 'RELEASED',
    by: Actor,
  ): Promise<void> {
    this.#deps.gate.close(device.device_id, SCOPES);
    await rows.append(device.device_id, (standing) =>
      this.#record(device, by, standing, { event, scopes: [], policy: null }),
    );
  }

  /**
   * Publishes a policy. Where it widens what a device's owner agreed to, those scopes are suspended
   * until the owner agrees anew. Returns the devices so suspended.
   * @throws CONFLICT when the version is not above the one in force.
   */
  async publish(bytes: string, by: Actor): Promise<{ policy: Policy; suspended: string[] }> {
    const policy = parsePolicy(bytes, 'policy');
    const { version } = policy.document;
    const inForce = await this.#deps.rows.policy();
    if (inForce && inForce.version >= version)
      throw new LenscapError('CONFLICT', `policy version ${inForce.version}; publish a higher one`);
    const row = {
      version,
      sha256: policy.sha256,
      document: bytes,
      published_at_us: this.#deps.nowUs(),
    };
    const suspended = await this.#deps.rows.publish(row, (deviceId, standing) => {
      const widened = widenedScopes(standing, policy);
      if (widened.length === 0 || !standing.last) return undefined;
      this.#deps.gate.close(deviceId, widened);
      const next = narrowed('SUSPENDED', without(standing.granted, widened), standing.last);
      const { accountId } = parseRecord(standing.last);
      return this.#record({ device_id: deviceId, account_id: accountId }, by, standing, next);
    });
    for (const deviceId of suspended) await this.tellOf(deviceId);
    return { policy, suspended };
  }

  /**
   * Days for which recordings of a device are kept: the shortest of every policy its owner agreed
   * to and the one in force, since a later text never lengthens what was promised before.
   */
  async retentionDays(deviceId: string): Promise<number> {
    const { video, audio } = await this.retention(deviceId);
    return Math.min(video, audio);
  }

  /** The same for each kind of data. */
  async retention(deviceId: string): Promise<Readonly<Record<Scope, number>>> {
    const agreed = (await this.log(deviceId)).flatMap(({ policy }) => policy?.sha256 ?? []);
    const policies = [(await this.policy()).document];
    for (const sha256 of new Set(agreed)) {
      const row = await this.#deps.rows.policyByHash(sha256);
      if (row) policies.push(parsePolicy(row.document, 'policy').document);
    }
    const days = (scope: Scope): number =>
      Math.min(...policies.map(({ scopes }) => scopes[scope].retentionDays));
    return {
      video: days('video'),
      audio: days('audio'),
      snapshot: days('snapshot'),
      live: days('live'),
      device_info: days('device_info'),
      device_log: days('device_log'),
      location: days('location'),
    };
  }

  /** Payload of down/grant: what is in force for a device, signed. */
  async signedGrant(deviceId: string): Promise<Uint8Array> {
    const { epoch, granted, record } = (await this.#deps.rows.inForce(deviceId)) ?? NOTHING;
    const sha256 = policyOf(record);
    return signGrant(
      {
        deviceId,
        epoch,
        granted,
        policySha256: Buffer.from(sha256, 'hex'),
        issuedAtUs: this.#deps.nowUs(),
        leaseS: this.#deps.leaseS,
        infoFields: await this.#infoParts(granted, sha256, this.#deps.rows),
      },
      this.#deps.key,
    );
  }

  /**
   * What may be known of the device itself, and the epoch whose consent that is; within a transaction
   * by its `rows`.
   */
  async infoInForce(
    deviceId: string,
    rows: ConsentRows = this.#deps.rows,
  ): Promise<{ readonly epoch: number; readonly parts: readonly InfoField[] }> {
    const { epoch, granted, record } = (await rows.inForce(deviceId)) ?? NOTHING;
    return { epoch, parts: await this.#infoParts(granted, policyOf(record), rows) };
  }

  async #infoParts(
    granted: GrantedSince,
    sha256: string,
    rows: ConsentRows,
  ): Promise<readonly InfoField[]> {
    if (!granted.has('device_info')) return [];
    const known = this.#parts.get(sha256);
    if (known) return known;
    const row = await rows.policyByHash(sha256);
    const parts = infoParts({ scopes: [...granted.keys()], policy: { sha256 } }, row ? [row] : []);
    this.#parts.set(sha256, parts);
    return parts;
  }

  /** Loads what is granted of a device into the gate, e.g. when it connects. */
  async load(deviceId: string): Promise<void> {
    const { granted } = (await this.#deps.rows.inForce(deviceId)) ?? NOTHING;
    this.#deps.gate.set(deviceId, granted);
  }

  async #append(
    device: DeviceRow,
    by: Actor,
    decide: (standing: Standing) => Draft,
  ): Promise<LedgerRecord> {
    const deviceId = device.device_id;
    let written: NextRecord | undefined;
    await this.#deps.rows.append(deviceId, (standing) => {
      written = this.#record(device, by, standing, decide(standing));
      return written;
    });
    if (!written) throw new LenscapError('BUG', 'a record was not written');
    await this.tellOf(deviceId);
    return parseRecord(written.row);
  }

  /** Loads what is in force into the gate, has the device told, and forgets what may be known no longer. */
  async tellOf(deviceId: string): Promise<void> {
    await this.load(deviceId);
    this.#deps.changed(deviceId);
    // The record is what counts and is not taken back; what is left goes with the next round of retention.
    await this.forgetUncovered(deviceId).catch(() => undefined);
  }

  /**
   * Forgets events that tell of the camera itself and that consent covers no longer. After the record,
   * not with it: they may be many, and a withdrawal has to succeed on a full disk. Returns how many.
   */
  async forgetUncovered(deviceId: string): Promise<number> {
    const { granted, record } = (await this.#deps.rows.inForce(deviceId)) ?? NOTHING;
    const parts = await this.#infoParts(granted, policyOf(record), this.#deps.rows);
    const since = parts.includes('health') ? granted.get('device_info') : undefined;
    return this.#deps.rows.forget(deviceId, since ?? null);
  }

  #record(
    device: Pick<DeviceRow, 'device_id' | 'account_id'>,
    by: Actor,
    standing: Standing,
    { state, ...next }: Draft,
  ): NextRecord {
    const record: LedgerRecord = {
      schema: 'lenscap-consent-1',
      recordId: randomUUID(),
      deviceId: device.device_id,
      accountId: device.account_id,
      epoch: standing.epoch + 1,
      ...next,
      ...by,
      at: new Date(this.#deps.nowUs() / 1000).toISOString(),
    };
    const row = ledgerRow(record, standing.lastHash, this.#deps.key);
    const { last, policies } = standing;
    const before = last ? infoParts(parseRecord(last), policies) : [];
    const told = staying(before, infoParts(record, policies));
    return { row, scopes: record.scopes, told, state };
  }

  #consented(state: string): NextRecord['state'] {
    if (!isState(state) || !MAY[state].beGranted)
      throw new LenscapError('STATE_INVALID', `the camera is ${state}; nothing can be granted`);
    const next = nextState(state, 'consented');
    return next === state
      ? undefined
      : { state: next, state_at_us: this.#deps.nowUs(), state_reason: null };
  }
}
