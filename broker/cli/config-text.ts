// A configuration as a text to be edited, and back. Lines that begin with // are not read: there it says
// what is edited, and what was wrong with it. Pure.
import { isObject, type JsonObject } from '../../proto/device-config.ts';
import { parsePatch } from './config-patch.ts';

const COMMENT = '//';

/** What an editor is given. */
export function editText(
  { name, version, document }: { name: string; version: number; document: unknown },
  text = JSON.stringify(document, null, 2),
  faults = '',
): string {
  const lines = [
    `${name}, version ${version}. What is left out is as the board's own configuration says.`,
    'What can be set: `lenscap config settings`. Close it as it is to change nothing.',
    ...(faults === '' ? [] : ['', ...faults.split('\n')]),
  ];
  return `${lines.map((line) => `${COMMENT} ${line}`.trimEnd()).join('\n')}\n${text.trimEnd()}\n`;
}

/** What was written, without the lines that are not read. */
export function writtenText(edited: string): string {
  const lines = edited.split('\n').filter((line) => !line.trimStart().startsWith(COMMENT));
  return lines.join('\n').trim();
}

/** The merge patch that makes of a document what was written. @throws REQUEST_INVALID. */
export function patchFromText(document: unknown, written: string): JsonObject {
  return patchBetween(isObject(document) ? document : {}, parsePatch(written, 'what you wrote'));
}

function patchBetween(before: JsonObject, after: JsonObject): JsonObject {
  const removed = Object.keys(before).filter((key) => !Object.hasOwn(after, key));
  const patch = new Map<string, JsonObject[string]>(removed.map((key) => [key, null]));
  const known = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(after)) {
    const old = known.get(key);
    const change = isObject(value) && isObject(old) ? patchBetween(old, value) : value;
    const isSame = isObject(change)
      ? isObject(old) && Object.keys(change).length === 0
      : JSON.stringify(change) === JSON.stringify(old);
    if (!isSame) patch.set(key, change);
  }
  return Object.fromEntries(patch);
}
