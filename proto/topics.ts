// Every topic there is. Built and parsed here alone; what is not in this table does not exist.
import { LenscapError } from './errors.ts';

const ROOT = 'lenscap/1';

/** Nouns a device publishes. */
export const UP_NOUNS = [
  'stream',
  'segment',
  'gap',
  'anchor',
  'applied',
  'info',
  'health',
  'reported',
  'event',
  'log',
  'snapshot',
  'renewal',
  'released',
] as const;
/** Nouns the server publishes to one device. */
export const DOWN_NOUNS = [
  'grant',
  'verdict',
  'config',
  'command',
  'certificate',
  'release',
] as const;
/** Nouns of the exchange by which a board gets its identity: asked by the board, answered to it. */
export const CLAIM_NOUNS = ['request', 'answer'] as const;
export type UpNoun = (typeof UP_NOUNS)[number];
export type DownNoun = (typeof DOWN_NOUNS)[number];
export type ClaimNoun = (typeof CLAIM_NOUNS)[number];

/** Device ids are made by the server, never taken from a device. */
const DEVICE_ID = /^cam-[a-z2-7]{16}$/;

export function isDeviceId(value: string): boolean {
  return DEVICE_ID.test(value);
}

/** Serial numbers of boards, as their maker gives them. */
const SERIAL = /^[A-Za-z0-9._-]{1,64}$/;
/** A claim by a setup code, or by the factory identity of the board with a serial number. */
const CLAIM_ID = /^claim-[a-z2-7]{16}$/;
const OF_SERIAL = 'serial-';

export function isSerial(value: string): boolean {
  return SERIAL.test(value);
}

/** Who asks for an identity; as text it is the MQTT client id and stands in the topics. */
export type Exchange =
  | { readonly kind: 'claim'; readonly claimId: string }
  | { readonly kind: 'board'; readonly serial: string };

export function exchangeId(exchange: Exchange): string {
  return exchange.kind === 'claim' ? exchange.claimId : `${OF_SERIAL}${exchange.serial}`;
}

/** Undefined when it is not one. */
export function parseExchangeId(id: string): Exchange | undefined {
  if (CLAIM_ID.test(id)) return { kind: 'claim', claimId: id };
  const serial = id.startsWith(OF_SERIAL) ? id.slice(OF_SERIAL.length) : '';
  return isSerial(serial) ? { kind: 'board', serial } : undefined;
}

export function claimTopic(exchange: Exchange, noun: ClaimNoun): string {
  return `${ROOT}/claim/${exchangeId(exchange)}/${noun}`;
}

/** The noun of a topic of this exchange, or undefined when it is none. */
export function parseClaimTopic(exchange: Exchange, topic: string): ClaimNoun | undefined {
  return CLAIM_NOUNS.find((noun) => topic === claimTopic(exchange, noun));
}

const INSTANCE_ID = /^[0-9a-f]{32}$/;

/**
 * One run of an agent, random; the MQTT user name of a device. Of two runs with one certificate the
 * older never comes back, unless there are two boards.
 */
export function isInstanceId(value: string): boolean {
  return INSTANCE_ID.test(value);
}

export function upTopic(deviceId: string, noun: UpNoun): string {
  return build(deviceId, 'up', noun);
}

export function downTopic(deviceId: string, noun: DownNoun): string {
  return build(deviceId, 'down', noun);
}

function build(deviceId: string, direction: 'up' | 'down', noun: string): string {
  if (!isDeviceId(deviceId)) throw new LenscapError('BUG', `no device id: ${deviceId}`);
  return `${ROOT}/${deviceId}/${direction}/${noun}`;
}

export type Topic =
  | { readonly deviceId: string; readonly direction: 'up'; readonly noun: UpNoun }
  | { readonly deviceId: string; readonly direction: 'down'; readonly noun: DownNoun };

/** The parts of a topic, or undefined when it is not one of ours (wildcards, `$SYS`, `$share` included). */
export function parseTopic(topic: string): Topic | undefined {
  const [root, version, deviceId, direction, noun, ...rest] = topic.split('/');
  if (`${root}/${version}` !== ROOT || rest.length > 0) return undefined;
  if (deviceId === undefined || noun === undefined || !isDeviceId(deviceId)) return undefined;
  if (direction === 'up' && isOneOf(UP_NOUNS, noun)) return { deviceId, direction, noun };
  if (direction === 'down' && isOneOf(DOWN_NOUNS, noun)) return { deviceId, direction, noun };
  return undefined;
}

function isOneOf<T extends string>(list: readonly T[], value: string): value is T {
  return (list as readonly string[]).includes(value);
}
