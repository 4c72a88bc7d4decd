// Consent: the only part that writes the ledger. Every change is one record, one epoch, one
// transaction; a withdrawal closes the gate in memory before it begins and is never refused.
import { type KeyObject, randomUUID } from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';
import { signGrant } from '../../proto/grant.ts';
import { type GrantedSince, SCOPES, type Scope } from '../../proto/scopes.ts';
import type { ConsentRows, Standing } from '../store/consent-rows.ts';
import type { DeviceRow, Devices } from '../store/devices.ts';
import type { ConsentGate } from './gate.ts';
import { type LedgerEvent, type LedgerRecord, ledgerRow, parseRecord } from './ledger.ts';
import { type Policy, parsePolicy, type ScopePolicy, widens } from './policy.ts';

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

type Draft = Pick<LedgerRecord, 'event' | 'scopes' | 'policy'>;

export class Consent {
  readonly #deps: ConsentDeps;

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
   * @throws POLICY_STALE when another policy is in force by now.
   */
  async grant(
    device: DeviceRow,
    scopes: readonly Scope[],
    policySha256: string,
    by: Actor,
  ): Promise<LedgerRecord> {
    const policy = await this.policy();
    if (policy.sha256 !== policySha256)
      throw new LenscapError(
        'POLICY_STALE',
        `version ${policy.document.version} is in force; read it and consent to it`,
      );
    return this.#append(device, by, ({ granted }) =>
      draft('GRANTED', [...granted.keys(), ...scopes], policy),
    );
  }

  /** The owner withdraws scopes, or all. Never refused; withdrawing nothing is recorded as well. */
  async withdraw(device: DeviceRow, scopes: readonly Scope[], by: Actor): Promise<LedgerRecord> {
    this.#deps.gate.close(device.device_id, scopes);
    const before = await this.current(device.device_id);
    return this.#append(device, by, ({ granted }) => ({
      event: 'WITHDRAWN',
      scopes: without(granted, scopes),
      policy: without(granted, scopes).length > 0 ? before.policy : null,
    }));
  }

  /** A device gets a new owner: the record with which its chain begins, and nothing granted. */
  async assign(device: DeviceRow, by: Actor): Promise<LedgerRecord> {
    this.#deps.gate.close(device.device_id, SCOPES);
    return this.#append(device, by, () => ({ event: 'OWNER_CHANGED', scopes: [], policy: null }));
  }

  /**
   * Publishes a policy. Where it widens what a device's owner agreed to, those scopes are suspended
   * until the owner agrees anew. Returns the devices so suspended.
   * @throws CONFLICT when the version is not above the one in force.
   */
  async publish(bytes: string, by: Actor): Promise<{ policy: Policy; suspended: string[] }> {
    const policy = parsePolicy(bytes, 'policy');
    const before = await this.#deps.rows.policy();
    if (before && before.version >= policy.document.version)
      throw new LenscapError('CONFLICT', `policy version ${before.version}; publish a higher one`);
    await this.#deps.rows.addPolicy({
      version: policy.document.version,
      sha256: policy.sha256,
      document: bytes,
      published_at_us: this.#deps.nowUs(),
    });
    const suspended: string[] = [];
    for (const device of await this.#deps.devices.all())
      if (await this.#suspend(device, policy, by)) suspended.push(device.device_id);
    return { policy, suspended };
  }

  /**
   * Days for which recordings of a device are kept: the shortest of every policy its owner agreed
   * to and the one in force, since a later text never lengthens what was promised before.
   */
  async retentionDays(deviceId: string): Promise<number> {
    const agreed = (await this.log(deviceId)).flatMap(({ policy }) => policy?.sha256 ?? []);
    const policies = [(await this.policy()).document];
    for (const sha256 of new Set(agreed)) {
      const row = await this.#deps.rows.policyByHash(sha256);
      if (row) policies.push(parsePolicy(row.document, 'policy').document);
    }
    return Math.min(
      ...policies.flatMap(({ scopes }) => [scopes.video.retentionDays, scopes.audio.retentionDays]),
    );
  }

  /** Payload of down/grant: what is in force for a device, signed. */
  async signedGrant(deviceId: string): Promise<Uint8Array> {
    const { row, standing } = await this.#deps.rows.inForce(deviceId);
    return signGrant(
      {
        deviceId,
        epoch: standing.epoch,
        granted: standing.granted,
        policySha256: Buffer.from((row && parseRecord(row).policy?.sha256) ?? '', 'hex'),
        issuedAtUs: this.#deps.nowUs(),
        leaseS: this.#deps.leaseS,
      },
      this.#deps.key,
    );
  }

  /** Loads what is granted of a device into the gate, e.g. when it connects. */
  async load(deviceId: string): Promise<void> {
    const { granted } = await this.#deps.rows.standing(deviceId);
    this.#deps.gate.set(deviceId, granted);
  }

  async #suspend(device: DeviceRow, policy: Policy, by: Actor): Promise<boolean> {
    const { policy: agreed, scopes } = await this.current(device.device_id);
    if (!agreed) return false;
    const row = await this.#deps.rows.policyByHash(agreed.sha256);
    const before = row && parsePolicy(row.document, 'policy').document;
    const widened = scopes.filter((scope) => {
      const known: ScopePolicy | undefined = before?.scopes[scope];
      return !known || widens(known, policy.document.scopes[scope]);
    });
    if (widened.length === 0) return false;
    this.#deps.gate.close(device.device_id, widened);
    await this.#append(device, by, ({ granted }) => {
      const rest = without(granted, widened);
      return { event: 'SUSPENDED', scopes: rest, policy: rest.length > 0 ? agreed : null };
    });
    return true;
  }

  async #append(
    device: DeviceRow,
    by: Actor,
    decide: (standing: Standing) => Draft,
  ): Promise<LedgerRecord> {
    const { rows, key, nowUs } = this.#deps;
    const deviceId = device.device_id;
    let record: LedgerRecord | undefined;
    await rows.append(deviceId, (standing) => {
      record = {
        schema: 'lenscap-consent-1',
        recordId: randomUUID(),
        deviceId,
        accountId: device.account_id,
        epoch: standing.epoch + 1,
        ...decide(standing),
        ...by,
        at: new Date(nowUs() / 1000).toISOString(),
      };
      return { row: ledgerRow(record, standing.lastHash, key), scopes: record.scopes };
    });
    if (!record) throw new LenscapError('BUG', 'a record was not written');
    await this.load(deviceId);
    this.#deps.changed(deviceId);
    return record;
  }
}

function draft(event: LedgerEvent, scopes: readonly Scope[], { document, sha256 }: Policy): Draft {
  const { version, language } = document;
  const held = SCOPES.filter((scope) => scopes.includes(scope));
  return { event, scopes: held, policy: { version, language, sha256 } };
}

function without(granted: GrantedSince, scopes: readonly Scope[]): Scope[] {
  return SCOPES.filter((scope) => granted.has(scope) && !scopes.includes(scope));
}
