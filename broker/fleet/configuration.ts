// The configuration that is wanted of each camera: versions that only grow, each valid, each within
// the consent of the moment at which it is written, sealed with the owner's key.
// INVARIANT: consent is compared in the transaction that adds the row; of two writers who saw the same
// version one wins.
import type { KeyObject } from 'node:crypto';
import { signDesiredConfig } from '../../proto/desired-config.ts';
import {
  consentFaults,
  type DeviceConfig,
  isObject,
  type Json,
} from '../../proto/device-config.ts';
import { LenscapError } from '../../proto/errors.ts';
import type { Scope } from '../../proto/scopes.ts';
import type { Actor } from '../consent/consent.ts';
import type { VersionRow } from '../store/config-rows.ts';
import type { DeviceRow } from '../store/devices.ts';
import { configIdentity } from '../store/identities.ts';
import { seal, unseal } from '../store/seal.ts';
import type { Store, TransactionRows } from '../store/store.ts';
import {
  changedPaths,
  checked,
  isSame,
  nameIn,
  patched,
  refusal,
} from './configuration-document.ts';

export interface ConfigurationDeps {
  readonly store: Pick<Store, 'config' | 'keys' | 'inTransaction'>;
  /** Ed25519, private: the one that signs grants. */
  readonly key: KeyObject;
  readonly nowUs: () => number;
  /** Called after each new version, with the device to tell. */
  readonly changed: (deviceId: string) => void;
}

/** Of a device, what names its sealed rows. */
export type ConfigDevice = Pick<DeviceRow, 'device_id' | 'account_id'>;

/** The configuration at one version; version 0 is the one of a camera that nobody ever changed. */
export interface Version {
  readonly version: number;
  readonly document: DeviceConfig;
  /** Null for version 0. */
  readonly written: { readonly atUs: number; readonly actor: string; readonly how: string } | null;
}

/** A version, and what it changed; null where the one before is not kept any more. */
export interface HistoryEntry extends Version {
  readonly paths: readonly string[] | null;
}

/** What is to become of the document. `seen`: the version that the writer looked at; absent: whichever is the newest. */
export interface Change {
  readonly seen?: number;
  readonly decide: (document: DeviceConfig) => DeviceConfig;
}

/** What came of a change: the version then wanted, and whether it is a new one. */
export interface Changed {
  readonly version: Version;
  readonly isNew: boolean;
}

const NOTHING: Version = { version: 0, document: {}, written: null };
const ENDED = new Set(['released', 'revoked', 'gone']);
const NO_CONSENT = { granted: new Map<Scope, number>() };

export class Configuration {
  readonly #deps: ConfigurationDeps;

  constructor(deps: ConfigurationDeps) {
    this.#deps = deps;
  }

  /** What is wanted now. */
  async current(device: ConfigDevice): Promise<Version> {
    const { store } = this.#deps;
    return this.#opened(device, await store.config.latest(device.device_id));
  }

  /** @throws NOT_FOUND for a version that there never was, or is kept no longer. */
  async at(device: ConfigDevice, version: number): Promise<Version> {
    const row = await this.#deps.store.config.at(device.device_id, version);
    if (!row)
      throw new LenscapError('NOT_FOUND', `no version ${version} is kept; look at the history`);
    return this.#opened(device, row);
  }

  /** The newest first; those below `before`. */
  async history(device: ConfigDevice, before: number, limit: number): Promise<HistoryEntry[]> {
    const rows = await this.#deps.store.config.history(device.device_id, before, limit + 1);
    const versions = await Promise.all(rows.map((row) => this.#opened(device, row)));
    return versions.slice(0, limit).map((one, position) => {
      const earlier = one.version === 1 ? NOTHING : versions[position + 1];
      return { ...one, paths: earlier ? changedPaths(earlier.document, one.document) : null };
    });
  }

  /**
   * Changes a configuration by a merge patch. One that changes nothing makes no new version.
   * @throws CONFIG_STALE when the writer saw another version; CONFIG_INVALID and CONSENT_MISSING with
   * every fault; STATE_INVALID when the camera is given away; REQUEST_INVALID for what is no patch.
   */
  update(
    device: ConfigDevice,
    { patch, seen }: { readonly patch: Json; readonly seen: number },
    by: Actor,
  ): Promise<Version> {
    return this.#change(device, by, { seen, decide: (document) => patched(document, patch) });
  }

  /** Brings a version back, as a new one. @throws as `update`, and NOT_FOUND. */
  async restore(
    device: ConfigDevice,
    { version, seen }: { readonly version: number; readonly seen: number },
    by: Actor,
  ): Promise<Version> {
    const { document } = await this.at(device, version);
    const how = `restored from ${version}`;
    return this.#change(device, { ...by, how }, { seen, decide: () => checked(document) });
  }

  /** Payload of down/config when there is a version above `above`. */
  async signed(
    { deviceId, accountId }: { readonly deviceId: string; readonly accountId: string },
    above: number,
  ): Promise<{ readonly version: number; readonly payload: Uint8Array } | undefined> {
    const row = await this.#deps.store.config.latest(deviceId);
    if (row === undefined || row.version <= above) return undefined;
    const { version } = row;
    const { document } = await this.#opened({ device_id: deviceId, account_id: accountId }, row);
    const config = { deviceId, version, document: JSON.stringify(document) };
    return { version, payload: signDesiredConfig(config, this.#deps.key) };
  }

  /**
   * Part of a transaction: `key` is that of the account, read before. Returns the version in force
   * then, and whether it is new; who asked has to call `changed` once the transaction is through.
   */
  async changeIn(
    rows: Pick<TransactionRows, 'config' | 'consent' | 'devices'>,
    key: Buffer,
    device: ConfigDevice,
    by: Actor,
    { seen, decide }: Change,
  ): Promise<Changed> {
    const { device_id } = device;
    const row = await rows.config.latest(device_id);
    const before = row ? opened(key, device, row) : NOTHING;
    if (seen !== undefined && seen !== before.version) throw stale(device, seen, before);
    const { granted } = (await rows.consent.inForce(device_id)) ?? NO_CONSENT;
    const { state = 'gone' } = (await rows.devices.byId(device_id)) ?? {};
    if (ENDED.has(state))
      throw new LenscapError('STATE_INVALID', `the camera is ${state}; nothing can be changed`);
    const document = decide(before.document);
    const faults = consentFaults(document, (scope) => granted.has(scope));
    if (faults.length > 0) throw refusal('CONSENT_MISSING', faults);
    if (isSame(document, before.document)) return { version: before, isNew: false };
    const version = before.version + 1;
    const atUs = this.#deps.nowUs();
    const plain = Buffer.from(JSON.stringify(document));
    const sealed = Buffer.concat(seal(key, configIdentity(device, version), plain));
    await rows.config.add({ device_id, version, at_us: atUs, ...by, sealed });
    const name = nameIn(document);
    if (name !== undefined && name !== nameIn(before.document))
      await rows.config.rename(device_id, name);
    return { version: { version, document, written: { atUs, ...by } }, isNew: true };
  }

  async #change(device: ConfigDevice, by: Actor, change: Change): Promise<Version> {
    const { store, changed } = this.#deps;
    const key = await store.keys.account(device.account_id);
    const { version, isNew } = await store.inTransaction((rows) =>
      this.changeIn(rows, key, device, by, change),
    );
    if (isNew) changed(device.device_id);
    return version;
  }

  async #opened(device: ConfigDevice, row: VersionRow | undefined): Promise<Version> {
    if (!row) return NOTHING;
    return opened(await this.#deps.store.keys.account(device.account_id), device, row);
  }
}

/** @throws STORE_CORRUPT. */
function opened(key: Buffer, device: ConfigDevice, row: VersionRow): Version {
  const { version, at_us: atUs, actor, how } = row;
  const identity = configIdentity(device, version);
  const document: unknown = JSON.parse(unseal(key, identity, row.sealed).toString());
  if (!isObject(document))
    throw new LenscapError('STORE_CORRUPT', `${identity.join('/')} is no document`);
  return { version, document, written: { atUs, actor, how } };
}

function stale(device: ConfigDevice, seen: number, { version, written }: Version): LenscapError {
  const by = written?.actor === device.account_id ? 'its owner' : 'the operator';
  const who = written
    ? `, written by ${by} (${written.how}) at ${new Date(written.atUs / 1000).toISOString()}`
    : '';
  const detail = `you saw version ${seen}, in force is version ${version}${who}; look at it and try again`;
  return new LenscapError('CONFIG_STALE', detail);
}
