// A merge patch as it is typed: `video.bitrateKbps=1500`, `overlay.clock=true`, `label.name=` to
// remove. Pure.
import { isObject, type Json, type JsonObject, mergePatch } from '../../proto/device-config.ts';
import { LenscapError } from '../../proto/errors.ts';

const KEY = /^[a-z][A-Za-z]{0,40}(\.[a-z][A-Za-z]{0,40}){0,2}$/;

/** Of settings and of names of settings to remove. @throws REQUEST_INVALID. */
export function patchOf(settings: readonly string[], removed: readonly string[]): JsonObject {
  let patch: JsonObject = {};
  for (const typed of settings) {
    const at = typed.indexOf('=');
    if (at < 0)
      throw new LenscapError('REQUEST_INVALID', `${typed}: write NAME=VALUE, or NAME= to remove`);
    const value = typed.slice(at + 1);
    patch = joined(patch, typed.slice(0, at), value === '' ? null : readValue(value));
  }
  for (const name of removed) patch = joined(patch, name, null);
  return patch;
}

/** A patch from a file. @throws REQUEST_INVALID. */
export function parsePatch(text: string, path: string): JsonObject {
  try {
    const parsed: unknown = JSON.parse(text);
    if (isObject(parsed)) return parsed;
  } catch (error) {
    throw new LenscapError('REQUEST_INVALID', `${path} is no JSON`, { cause: error });
  }
  throw new LenscapError('REQUEST_INVALID', `${path} is no JSON object`);
}

/** JSON where it is JSON, else text. */
function readValue(typed: string): Json {
  try {
    return JSON.parse(typed);
  } catch {
    return typed;
  }
}

function joined(patch: JsonObject, name: string, value: Json): JsonObject {
  if (!KEY.test(name))
    throw new LenscapError('REQUEST_INVALID', `no setting: ${name}; e.g. video.bitrateKbps`);
  const one = name.split('.').reduceRight<Json>((inner, key) => ({ [key]: inner }), value);
  return united(patch, one);
}

/** Like a merge patch of patches, in which null stays what it is. */
function united(one: JsonObject, other: Json): JsonObject {
  if (!isObject(other)) return one;
  const merged = new Map(Object.entries(one));
  for (const [key, value] of Object.entries(other)) {
    const before = merged.get(key);
    merged.set(key, isObject(value) && isObject(before) ? united(before, value) : value);
  }
  return Object.fromEntries(merged);
}

/** Both, the second over the first. */
export function bothPatches(one: JsonObject, other: JsonObject): JsonObject {
  return united(one, other);
}

/** Every setting of a document with its value, as it would be typed. */
export function settingsOf(document: unknown, prefix = ''): [name: string, value: string][] {
  const merged = isObject(document) ? mergePatch({}, document) : {};
  return entriesOf(merged).flatMap(([key, value]): [string, string][] =>
    isObject(value)
      ? settingsOf(value, `${prefix}${key}.`)
      : [[`${prefix}${key}`, shownValue(value)]],
  );
}

const SHOWN = 80;

/** A value in one line as it would be typed, text that looks like JSON in quotes; long ones are cut. */
export function shownValue(value: unknown): string {
  if (value === null || value === undefined) return 'not told';
  const isText = typeof value === 'string' && readValue(value) === value && value !== '';
  const text = isText ? value : JSON.stringify(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}… (${text.length} characters)` : text;
}

/** `/video/bitrateKbps` as it is typed. */
export function nameOf(path: string): string {
  return path.slice(1).replaceAll('/', '.') || 'the configuration';
}

function entriesOf(json: Json): [string, Json][] {
  return isObject(json) ? Object.entries(json) : [];
}
