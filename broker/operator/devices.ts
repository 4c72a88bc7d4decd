// What the operator may know of devices and do to them: identities and states, no media, no consent.
import { LenscapError } from '../../proto/errors.ts';
import type { Installation } from '../installation.ts';
import type { DeviceRow } from '../store/devices.ts';
import { Overview } from '../store/overview.ts';
import type { Store } from '../store/store.ts';
import { NOTHING_TOLD, type ToldOfDevice } from '../store/told.ts';
import { connectedDevices } from './presence.ts';

const BY = { actor: 'operator' } as const;

export interface DeviceListing {
  readonly deviceId: string;
  readonly name: string;
  readonly account: string;
  readonly state: string;
  readonly stateReason: string | null;
  /** Of the board, if its maker enrolled it. */
  readonly serial: string | null;
  readonly createdAt: string;
  /** Null when no server runs on the data folder. */
  readonly connected: boolean | null;
  /** When it last connected or disconnected. */
  readonly lastSeenAt: string | null;
  /** Null when every certificate is revoked. */
  readonly certificateEnd: string | null;
  /** Null unless the owner consents to device_info. */
  readonly agentVersion: string | null;
  /** What waits on the camera, as it last said; null likewise. */
  readonly spool: {
    readonly state: string;
    readonly code: string | null;
    readonly items: number;
    readonly bytes: number;
  } | null;
  /** When it confirmed that it forgot its owner. */
  readonly releasedAt: string | null;
}

export async function listDevices({ store, folder }: Installation): Promise<DeviceListing[]> {
  const connected = await connectedDevices(folder);
  const ends = await new Overview(store.index).certificateEnds();
  const listing = (device: DeviceRow & { email: string }, told: ToldOfDevice): DeviceListing => ({
    deviceId: device.device_id,
    name: device.name,
    account: device.email,
    state: device.state,
    stateReason: device.state_reason,
    serial: device.serial,
    createdAt: iso(device.created_at_us),
    connected: connected?.has(device.device_id) ?? null,
    lastSeenAt: isoOrNull(device.last_seen_at_us),
    certificateEnd: isoOrNull(ends.get(device.device_id) ?? null),
    agentVersion: told.info?.message.agentVersion ?? null,
    spool: told.health?.message.spool ?? null,
    releasedAt: isoOrNull(device.released_at_us),
  });
  const devices = await store.devices.all();
  return Promise.all(devices.map(async (device) => listing(device, await toldOf(store, device))));
}

/** One that cannot be opened does not hide the others. */
async function toldOf({ told }: Store, device: DeviceRow): Promise<ToldOfDevice> {
  return told.of(device).catch(() => NOTHING_TOLD);
}

/** @throws NOT_FOUND. */
export async function showDevice(house: Installation, deviceId: string): Promise<DeviceListing> {
  const found = (await listDevices(house)).find((device) => device.deviceId === deviceId);
  if (!found) throw noDevice(deviceId);
  return found;
}

/** Revokes the certificates of a device; a running server cuts it off within a second. */
export async function revokeDevice(house: Installation, deviceId: string): Promise<number> {
  const device = await deviceOf(house, deviceId);
  return house.lifecycle.revoke(device, { ...BY, how: 'device revoke' });
}

/** Stops a device until it is resumed. @throws NOT_FOUND, STATE_INVALID. */
export async function suspendDevice(house: Installation, deviceId: string): Promise<void> {
  const device = await deviceOf(house, deviceId);
  await house.lifecycle.suspend(device, 'operator', { ...BY, how: 'device suspend' });
}

/** @throws NOT_FOUND, STATE_INVALID; what was suspended as a clone is for its owner to let in. */
export async function resumeDevice(house: Installation, deviceId: string): Promise<void> {
  const device = await deviceOf(house, deviceId);
  await house.lifecycle.resume(device);
}

async function deviceOf({ store }: Installation, deviceId: string): Promise<DeviceRow> {
  const device = await store.devices.byId(deviceId);
  if (!device) throw noDevice(deviceId);
  return device;
}

function noDevice(deviceId: string): LenscapError {
  return new LenscapError('NOT_FOUND', `no device ${deviceId}; see \`device list\``);
}

export const iso = (atUs: number): string => new Date(atUs / 1000).toISOString();
export const isoOrNull = (atUs: number | null): string | null => (atUs === null ? null : iso(atUs));
