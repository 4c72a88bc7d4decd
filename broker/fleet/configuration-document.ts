// What becomes of a configuration document when it is changed. Pure. INVARIANT: a document that comes
// out of here has nothing wrong with it whatever the board is, and is the same text for the same content.

import { MAX_DOCUMENT_BYTES, MAX_FAULTS } from '../../proto/desired-config.ts';
import {
  type DeviceConfig,
  deviceConfigFaults,
  isObject,
  type Json,
  mergePatch,
} from '../../proto/device-config.ts';
import { LenscapError } from '../../proto/errors.ts';
import { type Fault, faultLines } from '../../proto/validate.ts';

/** A schedule's day lies five deep; nothing valid is deeper. */
const MAX_DEPTH = 8;

/**
 * The document after a merge patch. @throws CONFIG_INVALID with every fault and its path; REQUEST_INVALID
 * when the patch is no object, or nested so deeply that it cannot be looked at.
 */
export function patched(document: DeviceConfig, patch: Json): DeviceConfig {
  if (!isObject(patch)) throw new LenscapError('REQUEST_INVALID', 'a patch is a JSON object');
  if (isDeeper(patch, MAX_DEPTH))
    throw new LenscapError('REQUEST_INVALID', `the patch is nested more than ${MAX_DEPTH} deep`);
  return checked(mergePatch(document, patch));
}

/** A document in its one form. @throws CONFIG_INVALID with every fault and its path. */
export function checked(document: Json): DeviceConfig {
  const faults = deviceConfigFaults(document);
  if (faults.length > 0 || !isObject(document)) throw refusal('CONFIG_INVALID', faults);
  const groups = Object.entries(document).filter(([, group]) => !isEmpty(group));
  const tidy = ordered(Object.fromEntries(groups));
  if (!isObject(tidy)) throw new LenscapError('BUG', 'a document is no object');
  const bytes = Buffer.byteLength(JSON.stringify(tidy));
  if (bytes > MAX_DOCUMENT_BYTES)
    throw new LenscapError(
      'CONFIG_INVALID',
      `it would have ${bytes} bytes; at most ${MAX_DOCUMENT_BYTES} are taken`,
    );
  return tidy;
}

/** An error that names the first faults of many. */
export function refusal(
  code: 'CONFIG_INVALID' | 'CONSENT_MISSING',
  faults: readonly Fault[],
): LenscapError {
  const named = faultLines(faults.slice(0, MAX_FAULTS));
  const more = faults.length - MAX_FAULTS;
  return new LenscapError(code, `\n${named}${more > 0 ? `\n  and ${more} more` : ''}`);
}

export function isSame(one: DeviceConfig, other: DeviceConfig): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** JSON pointers of the settings that differ; lists are one setting. */
export function changedPaths(
  before: Json | undefined,
  after: Json | undefined,
  path = '',
): string[] {
  if (!isObject(before) && !isObject(after))
    return JSON.stringify(before) === JSON.stringify(after) ? [] : [path];
  const [one, other] = [entriesOf(before), entriesOf(after)];
  const keys = [...new Set([...one.keys(), ...other.keys()])].sort();
  return keys.flatMap((key) => changedPaths(one.get(key), other.get(key), `${path}/${key}`));
}

/** What its owner calls the camera, if the document says so. */
export function nameIn({ label }: DeviceConfig): string | undefined {
  const name = isObject(label) ? label.name : undefined;
  return typeof name === 'string' && name.trim() !== '' ? name : undefined;
}

function entriesOf(json: Json | undefined): Map<string, Json> {
  return new Map(isObject(json) ? Object.entries(json) : []);
}

function isEmpty(json: Json): boolean {
  return isObject(json) && Object.keys(json).length === 0;
}

function isList(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}

/** Keys in one order, so that the same content is the same text. */
function ordered(json: Json): Json {
  if (isList(json)) return json.map(ordered);
  if (!isObject(json)) return json;
  const entries = Object.entries(json).map(([key, value]) => [key, ordered(value)] as const);
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** Level by level, since what is too deep to be read is too deep for recursion as well. */
function isDeeper(json: Json, levels: number): boolean {
  let level: Json[] = [json];
  for (let depth = 0; depth <= levels; depth++) {
    level = level.flatMap((value) => {
      if (isList(value)) return [...value];
      return isObject(value) ? Object.values(value) : [];
    });
    if (level.length === 0) return false;
  }
  return true;
}
