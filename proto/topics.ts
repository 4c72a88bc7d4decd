// Every topic there is. Built and parsed here alone; what is not in this table does not exist.
import { LenscapError } from './errors.ts';

const ROOT = 'lenscap/1';

/** Nouns a device publishes. */
export const UP_NOUNS = ['stream', 'segment', 'gap', 'applied'] as const;
/** Nouns the server publishes to one device. */
export const DOWN_NOUNS = ['grant', 'verdict'] as const;
export type UpNoun = (typeof UP_NOUNS)[number];
export type DownNoun = (typeof DOWN_NOUNS)[number];

/** Device ids are made by the server, never taken from a device. */
const DEVICE_ID = /^cam-[a-z2-7]{16}$/;

export function isDeviceId(value: string): boolean {
  return DEVICE_ID.test(value);
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
