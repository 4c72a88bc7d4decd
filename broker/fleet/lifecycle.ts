// The ends and pauses of a device's life: release, revocation, suspension. Each is one transaction of
// state, ledger, certificates and claims; the table in states.ts says what may follow on what.
import type { KeyObject } from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';
import { type ReleaseCause, signRelease } from '../../proto/release.ts';
import type { Actor, Consent } from '../consent/consent.ts';
import type { DeviceRow } from '../store/devices.ts';
import type { Rows, Store, TransactionRows } from '../store/store.ts';
import { type Event, isState, nextState, type State } from './states.ts';

export interface LifecycleDeps {
  readonly store: Pick<Store, 'devices' | 'deletion' | 'inTransaction'>;
  readonly consent: Consent;
  /** Ed25519, private: the one that signs grants. */
  readonly key: KeyObject;
  readonly nowUs: () => number;
}

/** What is told apart by `state_reason`. */
export type SuspensionReason = 'operator' | 'clone';

type Device = Pick<DeviceRow, 'device_id'>;
type Change = (rows: TransactionRows, device: DeviceRow, nowUs: number) => Promise<void>;

export class Lifecycle {
  readonly #deps: LifecycleDeps;

  constructor(deps: LifecycleDeps) {
    this.#deps = deps;
  }

  /**
   * The owner gives a camera away: nothing is granted any more, the device is told to forget
   * everything, its board is free for the next owner. @throws STATE_INVALID.
   */
  async release(device: Device, recordings: 'keep' | 'delete', by: Actor): Promise<void> {
    await this.#change(device, 'released', null, async (rows, row, nowUs) => {
      await this.#release(rows, row, by, nowUs);
      if (recordings === 'delete') await rows.bury(row.device_id, nowUs);
    });
    if (recordings === 'delete') await this.#deps.store.deletion.finish();
  }

  /**
   * The device's word that it has forgotten everything (`ordered`), or is about to since somebody
   * reset the board (`reset`). Its certificates end with it. What it does unasked is a reset.
   */
  async released(deviceId: string, cause: ReleaseCause): Promise<void> {
    const { store, nowUs } = this.#deps;
    const atUs = nowUs();
    await store.inTransaction(async (rows) => {
      const device = await rows.devices.byId(deviceId);
      if (!device || device.state === 'revoked') return;
      if (device.state !== 'released') {
        const note = noteOf(device, 'released', null, atUs);
        await rows.devices.setState(deviceId, note);
        await this.#release(rows, device, { actor: 'device', how: cause }, atUs);
      }
      await rows.devices.setReleased(deviceId, atUs);
      await rows.certificates.revokeAll(deviceId, atUs);
    });
    await this.#deps.consent.tellOf(deviceId);
  }

  /** Payload of down/release. @throws STATE_INVALID for a device that is not released. */
  async signedRelease(deviceId: string): Promise<Uint8Array> {
    const log = await this.#deps.consent.log(deviceId);
    const record = log.findLast(({ event }) => event === 'RELEASED');
    if (!record) throw new LenscapError('STATE_INVALID', `${deviceId} is not released`);
    return signRelease({ deviceId, epoch: record.epoch }, this.#deps.key);
  }

  /** Declares the identity void, for good. Returns how many certificates end. @throws STATE_INVALID. */
  async revoke(device: Device, by: Actor): Promise<number> {
    let revoked = 0;
    await this.#change(device, 'revoked', null, async (rows, row, nowUs) => {
      await this.#deps.consent.endIn(rows.consent, row, 'SUSPENDED', by);
      await rows.claims.cancelOfDevice(row.device_id, nowUs);
      revoked = await rows.certificates.revokeAll(row.device_id, nowUs);
    });
    return revoked;
  }

  /** Stops a device and ends what is granted. @throws STATE_INVALID. */
  async suspend(device: Device, reason: SuspensionReason, by: Actor): Promise<void> {
    await this.#change(device, 'suspended', reason, (rows, row) =>
      this.#deps.consent.endIn(rows.consent, row, 'SUSPENDED', by),
    );
  }

  /**
   * Lets a device connect again; its owner has to consent anew. Of two boards with one certificate
   * nobody but the owner can say which is his. @throws STATE_INVALID.
   */
  async resume(device: Device): Promise<void> {
    await this.#change(device, 'resumed', null, async (_rows, { state_reason }) => {
      if (state_reason === 'clone')
        throw new LenscapError(
          'STATE_INVALID',
          'its certificate is on two boards; its owner has to re-admit it by a setup code',
        );
    });
  }

  async #change(
    { device_id }: Device,
    event: Event,
    reason: string | null,
    change: Change,
  ): Promise<void> {
    const { store, consent, nowUs } = this.#deps;
    const atUs = nowUs();
    await store.inTransaction(async (rows) => {
      const device = await rows.devices.byId(device_id);
      if (!device) throw new LenscapError('NOT_FOUND', `no device ${device_id}`);
      const note = noteOf(device, event, reason, atUs);
      await change(rows, device, atUs);
      await rows.devices.setState(device_id, note);
    });
    await consent.tellOf(device_id);
  }

  async #release(rows: Rows, device: DeviceRow, by: Actor, nowUs: number): Promise<void> {
    await this.#deps.consent.endIn(rows.consent, device, 'RELEASED', by);
    await rows.claims.cancelOfDevice(device.device_id, nowUs);
    await rows.boards.free(device.device_id);
    // The next owner's camera is another device; what this one was to be like is nobody's any more.
    await rows.config.erase(device.device_id);
    await rows.labels.erase(device.device_id);
    await rows.events.eraseAlertKinds(device.device_id);
  }
}

/** @throws STATE_INVALID. */
function noteOf(
  device: DeviceRow,
  event: Event,
  reason: string | null,
  nowUs: number,
): { state: State; state_at_us: number; state_reason: string | null } {
  if (!isState(device.state))
    throw new LenscapError('STORE_CORRUPT', `${device.device_id} is ${device.state}`);
  const state = nextState(device.state, event);
  return { state, state_at_us: nowUs, state_reason: reason };
}
