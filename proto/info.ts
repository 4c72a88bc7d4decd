// Device information: what the owner lets be known of the camera itself, under the scope `device_info`,
// part by part as the policy names them. The server signs the parts into the grant; the camera sends
// no other, and the server keeps no other.
import { LenscapError } from './errors.ts';
import { parsed, text, whole } from './fields.ts';
import { lenscap } from './wire.ts';

const Wire = lenscap.v1.Info;

/** Parts of device information in the order of the wire numbers, from 1; policies use these words. */
export const INFO_FIELDS = [
  'model',
  'serial number',
  'firmware version',
  'agent version',
  'network addresses',
  'storage',
  'configuration',
  'health',
] as const;
export type InfoField = (typeof INFO_FIELDS)[number];

export function isInfoField(value: string): value is InfoField {
  return (INFO_FIELDS as readonly string[]).includes(value);
}

/** Fields without repeats, in the order of the table. @throws DECODE_INVALID. */
export function infoFields(wire: readonly number[]): InfoField[] {
  const known = INFO_FIELDS.filter((_, at) => wire.includes(at + 1));
  if (known.length !== wire.length)
    throw new LenscapError('DECODE_INVALID', 'no known part of device information, or one twice');
  return known;
}

export const infoFieldToWire = (field: InfoField): number => INFO_FIELDS.indexOf(field) + 1;

export interface NetworkInterface {
  readonly name: string;
  /** Null for none. */
  readonly mac: string | null;
  readonly addresses: readonly string[];
}

/** What is not named in the grant, or not known, is null; no interfaces: null. */
export interface DeviceInfo {
  readonly model: string | null;
  readonly serial: string | null;
  readonly firmwareVersion: string | null;
  readonly agentVersion: string | null;
  readonly interfaces: readonly NetworkInterface[] | null;
  readonly storage: { readonly totalBytes: number; readonly freeBytes: number } | null;
}

export interface Info extends DeviceInfo {
  /** Consent epoch under which it is sent. */
  readonly epoch: number;
}

/** The part that each piece of device information belongs to. */
export const FIELD_OF = {
  model: 'model',
  serial: 'serial number',
  firmwareVersion: 'firmware version',
  agentVersion: 'agent version',
  interfaces: 'network addresses',
  storage: 'storage',
} as const satisfies Record<keyof DeviceInfo, InfoField>;

/** The same without what `fields` do not name. */
export function onlyNamed(info: DeviceInfo, fields: readonly InfoField[]): DeviceInfo {
  const may = (key: keyof DeviceInfo): boolean => fields.includes(FIELD_OF[key]);
  return {
    model: may('model') ? info.model : null,
    serial: may('serial') ? info.serial : null,
    firmwareVersion: may('firmwareVersion') ? info.firmwareVersion : null,
    agentVersion: may('agentVersion') ? info.agentVersion : null,
    interfaces: may('interfaces') ? info.interfaces : null,
    storage: may('storage') ? info.storage : null,
  };
}

const MAX_TEXT = 64;
const MAX_INTERFACES = 16;
const MAX_ADDRESSES = 16;
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;

/** Longer texts are cut, and so are longer lists. */
export function encodeInfo(info: Info): Uint8Array {
  const cut = (value: string | null): string => (value ?? '').slice(0, MAX_TEXT);
  return Wire.encode({
    epoch: info.epoch,
    agentVersion: cut(info.agentVersion),
    model: cut(info.model),
    serial: cut(info.serial),
    firmwareVersion: cut(info.firmwareVersion),
    interfaces: (info.interfaces ?? [])
      .slice(0, MAX_INTERFACES)
      .map(({ name, mac, addresses }) => ({
        name,
        mac: mac ?? '',
        addresses: addresses.slice(0, MAX_ADDRESSES),
      })),
    ...(info.storage === null ? {} : { storage: info.storage }),
  }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeInfo(payload: Uint8Array): Info {
  const wire = parsed('info', () => Wire.decode(payload));
  const words = (field: string, value: string): string | null =>
    value === '' ? null : text(field, value, MAX_TEXT);
  if (wire.interfaces.length > MAX_INTERFACES)
    throw new LenscapError('DECODE_INVALID', `at most ${MAX_INTERFACES} interfaces`);
  const interfaces = wire.interfaces.map((one) => interfaceOf(one));
  return {
    epoch: whole('epoch', wire.epoch, 1),
    agentVersion: words('agent_version', wire.agentVersion),
    model: words('model', wire.model),
    serial: words('serial', wire.serial),
    firmwareVersion: words('firmware_version', wire.firmwareVersion),
    interfaces: interfaces.length === 0 ? null : interfaces,
    storage: wire.storage ? storageOf(new lenscap.v1.Storage(wire.storage)) : null,
  };
}

function interfaceOf(properties: lenscap.v1.INetworkInterface): NetworkInterface {
  const { name, mac, addresses } = new lenscap.v1.NetworkInterface(properties);
  if (mac !== '' && !MAC.test(mac))
    throw new LenscapError('DECODE_INVALID', 'mac has to be six bytes in hex');
  if (addresses.length > MAX_ADDRESSES)
    throw new LenscapError('DECODE_INVALID', `at most ${MAX_ADDRESSES} addresses`);
  return {
    name: text('name', name, 15),
    mac: mac === '' ? null : mac,
    addresses: addresses.map((address) => text('address', address, MAX_TEXT)),
  };
}

function storageOf({ totalBytes, freeBytes }: lenscap.v1.Storage): DeviceInfo['storage'] {
  return {
    totalBytes: whole('total_bytes', totalBytes),
    freeBytes: whole('free_bytes', freeBytes, 0, Math.max(0, totalBytes)),
  };
}
