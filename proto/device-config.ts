// The configuration that is pushed to a camera: a sparse document. What is absent in it is as the
// board's own configuration says. Validated by the same schema in the API, on the server and on the
// device. INVARIANT: nothing of the hardware can be said in it, and nothing in it widens consent.
import type { AgentConfig } from './agent-config.ts';
import type { Scope } from './scopes.ts';
import type { Hours, Settings } from './settings.ts';
import { settingsSchema } from './settings-schema.ts';
import { type Fault, faultFinder, type Schema } from './validate.ts';

/** What of each group can be pushed. What could cut a camera off for good cannot. */
export const PUSHABLE = {
  video: [
    'width',
    'height',
    'frameRate',
    'bitrateKbps',
    'keyframeIntervalMs',
    'rotation',
    'flip',
    'brightness',
  ],
  audio: ['on', 'codec', 'bitrateKbps', 'gainDb', 'eventDb'],
  segment: ['durationMs'],
  recording: ['mode', 'schedule', 'preRollMs', 'postRollMs'],
  motion: ['on', 'sensitivityPercent', 'zones'],
  masks: null,
  overlay: ['name', 'clock'],
  clock: ['timeZone'],
  snapshot: ['intervalS', 'onMotion'],
  light: ['brightnessPercent'],
  label: ['name', 'location'],
  spool: ['maxBytes', 'maxAgeS', 'memoryBytes', 'flushAfterMs', 'durability'],
  uplink: ['window', 'backlogPercent', 'maxKbps', 'meteredInterfaces'],
  log: ['level', 'linesPerMinute'],
} as const satisfies { readonly [G in keyof Settings]: readonly (keyof Settings[G])[] | null };

export type Group = keyof typeof PUSHABLE;

/** Groups that say nothing of what is seen, heard or kept: the operator may push these, and no other. */
export const OPERATOR_GROUPS: readonly Group[] = [
  'video',
  'segment',
  'light',
  'spool',
  'uplink',
  'log',
];

/** JSON values. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A document as it is stored and sent; only what `deviceConfigFaults` finds nothing wrong with. */
export type DeviceConfig = JsonObject;

export const deviceConfigSchema: Schema = {
  type: 'object',
  description: "What is absent is as the board's own configuration says.",
  additionalProperties: false,
  properties: Object.fromEntries(
    Object.entries(PUSHABLE).map(([name, keys]) => [name, sparse(schemaOf(name), keys)]),
  ),
};

function schemaOf(name: string): Schema {
  const found = Object.entries(settingsSchema).find(([group]) => group === name);
  return found?.[1] ?? {};
}

/** The schema of a group without its defaults, cut down to `keys`. */
function sparse(schema: Schema, keys: readonly string[] | null): Schema {
  const { default: _, properties, ...others } = schema;
  if (keys === null || typeof properties !== 'object' || properties === null) return others;
  const chosen = Object.entries(properties).filter(([key]) => keys.includes(key));
  const bare = chosen.map(([key, inner]: [string, Schema]) => {
    const { default: __, ...rest } = inner;
    return [key, rest] as const;
  });
  return { ...others, properties: Object.fromEntries(bare) };
}

const schemaFaults = faultFinder(deviceConfigSchema);

/** Everything that is wrong with a document whatever the board is, each with its path. */
export function deviceConfigFaults(document: unknown): Fault[] {
  const faults = schemaFaults(document);
  return faults.length > 0 || !isObject(document) ? faults : timeFaults(document);
}

/** Faults of time that no schema can name, of the settings in force or of a document. */
export function timeFaults(settings: {
  readonly clock?: unknown;
  readonly recording?: unknown;
}): Fault[] {
  const { clock, recording } = settings;
  const zone = isObject(clock) ? clock.timeZone : undefined;
  const schedule = isObject(recording) ? recording.schedule : undefined;
  const faults: Fault[] = [];
  if (typeof zone === 'string' && !isTimeZone(zone))
    faults.push({ path: '/clock/timeZone', message: 'must be a time zone, e.g. Europe/Berlin' });
  if (Array.isArray(schedule))
    for (const [at, hours] of schedule.entries())
      if (isEmpty(hours))
        faults.push({
          path: `/recording/schedule/${at}/to`,
          message: 'must differ from its start; a whole day is 00:00 to 24:00',
        });
  return faults;
}

function isEmpty({ from, to }: Pick<Hours, 'from' | 'to'>): boolean {
  return from === to;
}

/** Written as the IANA data base does: elsewhere other capitals are another name, of no zone. */
export function isTimeZone(name: string): boolean {
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions();
    return timeZone === name || timeZone.toLowerCase() !== name.toLowerCase();
  } catch {
    return false;
  }
}

/** What a document asks for that wants consent: where, and to what. */
export function scopesAsked(document: DeviceConfig): { path: string; scope: Scope }[] {
  const { audio, snapshot, label } = document;
  const asked: { path: string; scope: Scope }[] = [];
  if (isObject(audio) && audio.on === true) asked.push({ path: '/audio/on', scope: 'audio' });
  if (isObject(audio) && typeof audio.eventDb === 'number')
    asked.push({ path: '/audio/eventDb', scope: 'audio' });
  if (isObject(snapshot) && typeof snapshot.intervalS === 'number' && snapshot.intervalS > 0)
    asked.push({ path: '/snapshot/intervalS', scope: 'snapshot' });
  if (isObject(snapshot) && snapshot.onMotion === true)
    asked.push({ path: '/snapshot/onMotion', scope: 'snapshot' });
  if (isObject(label) && typeof label.location === 'string')
    asked.push({ path: '/label/location', scope: 'location' });
  return asked;
}

/** Faults for what a document asks for beyond consent. */
export function consentFaults(document: DeviceConfig, granted: (scope: Scope) => boolean): Fault[] {
  return scopesAsked(document)
    .filter(({ scope }) => !granted(scope))
    .map(({ path, scope }) => ({ path, message: `needs the owner's consent to ${scope}` }));
}

/** RFC 7396. Null in the patch removes, and nothing of the target is changed in place. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const merged = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch))
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  return Object.fromEntries(merged);
}

/** The settings in force that can be pushed, defaults included. */
export function pushableOf(config: AgentConfig): Readonly<Record<string, unknown>> {
  const groups = Object.entries(config).flatMap(([name, group]: [string, unknown]) => {
    const keys = Object.entries(PUSHABLE).find(([known]) => known === name)?.[1];
    if (keys === undefined) return [];
    return [[name, keys === null || !isRecord(group) ? group : only(group, keys)] as const];
  });
  return Object.fromEntries(groups);
}

function only(group: Readonly<Record<string, unknown>>, keys: readonly string[]) {
  return Object.fromEntries(Object.entries(group).filter(([key]) => keys.includes(key)));
}

export interface Difference {
  /** JSON pointer of a setting. */
  readonly path: string;
  readonly desired: Json;
  /** Undefined where the camera has told of none. */
  readonly reported: Json | undefined;
}

/** Where the settings in force are not what a document wants. */
export function differences(document: DeviceConfig, settings: JsonObject): Difference[] {
  return leaves(document).flatMap(({ path, keys, value }) => {
    const reported = keys.reduce<Json | undefined>(
      (at, key) => (isObject(at) ? at[key] : undefined),
      settings,
    );
    const isSame = JSON.stringify(reported) === JSON.stringify(value);
    return isSame ? [] : [{ path, desired: value, reported }];
  });
}

function leaves(
  json: Json,
  keys: readonly string[] = [],
): { path: string; keys: readonly string[]; value: Json }[] {
  if (!isObject(json)) return [{ path: `/${keys.join('/')}`, keys, value: json }];
  return Object.entries(json).flatMap(([key, value]) => leaves(value, [...keys, key]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isObject(value: unknown): value is JsonObject {
  return isRecord(value);
}
