// From a line as pino writes it to the record that may leave the device.
// INVARIANT: a record is made anew from what the table lets pass; nothing of the line is passed on as it is.
import { join } from 'node:path';
import { MAX_LOG_LINE_BYTES } from '../../proto/log-batch.ts';
import { FIELDS } from './fields.ts';
import { isCode, type Scrubber } from './scrub.ts';
import { isWord } from './words.ts';

const LEVELS: ReadonlyMap<unknown, Level> = new Map([
  [10, 'trace'],
  [20, 'debug'],
  [30, 'info'],
  [40, 'warn'],
  [50, 'error'],
  [60, 'fatal'],
]);
export type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Where our own program lies. */
const ROOT = join(import.meta.dirname, '..', '..');
const OURS = /^(?:agent|proto)\/[a-z0-9/.-]{1,100}\.(?:ts|js|mjs):\d{1,6}$/;
const MAX_FRAMES = 8;
/** Longer ones are none of ours, and would take time to look at. */
const MAX_FRAME = 400;
const MAX_CAUSES = 2;

export interface LogRecord {
  readonly atMs: number;
  readonly level: Level;
  /** A JSON object. */
  readonly text: string;
}

type Fields = Record<string, unknown>;

/** Null for what is no line of a log. Never throws. */
export function recordOf(line: string, scrubber: Scrubber): LogRecord | null {
  const fields = parse(line);
  const level = LEVELS.get(fields?.level);
  if (fields === null || level === undefined) return null;
  const atMs = typeof fields.time === 'string' ? Date.parse(fields.time) : Number.NaN;
  if (!(atMs >= 0)) return null;
  const record: Fields = { time: new Date(atMs).toISOString(), level };
  for (const [name, value] of Object.entries(fields)) {
    const passed = FIELDS.get(name)?.(value, scrubber);
    if (passed !== undefined) record[name] = passed;
  }
  if (isFields(fields.err)) record.err = errorOf(fields.err, scrubber, MAX_CAUSES);
  return { atMs, level, text: fitting(record) };
}

/** Texts are bounded one by one; what is too long all the same keeps its message alone. */
function fitting(record: Fields): string {
  const text = JSON.stringify(record);
  if (Buffer.byteLength(text) <= MAX_LOG_LINE_BYTES) return text;
  const { time, level, part, msg, code } = record;
  return JSON.stringify({ time, level, part, msg, code });
}

function errorOf(error: Fields, scrubber: Scrubber, depth: number): Fields {
  const { type, code, message, stack, cause } = error;
  return {
    ...(typeof type === 'string' && isTypeName(type) && { type }),
    ...(typeof code === 'string' && isCode(code) && { code }),
    ...(typeof message === 'string' && { message: scrubber.scrub(message) }),
    ...(typeof stack === 'string' && { at: framesOf(stack) }),
    ...(isFields(cause) && depth > 0 && { cause: errorOf(cause, scrubber, depth - 1) }),
  };
}

/** Words of the vocabulary written as one, e.g. `TypeError`. */
function isTypeName(type: string): boolean {
  return type.length <= 40 && type.split(/(?=[A-Z])/).every(isWord);
}

/** Places in our own files, the innermost first. */
function framesOf(stack: string): string[] {
  return stack
    .slice(0, 16_384)
    .split('\n')
    .flatMap((line) => {
      if (line.length > MAX_FRAME) return [];
      const [, place = ''] =
        /^ {4}at (?:.* )?\(?(?:file:\/\/)?(\/[^()]*?:\d+):\d+\)?$/.exec(line) ?? [];
      const own = place.startsWith(`${ROOT}/`) ? place.slice(ROOT.length + 1) : '';
      return OURS.test(own) ? [own] : [];
    })
    .slice(0, MAX_FRAMES);
}

function parse(line: string): Fields | null {
  try {
    const value: unknown = JSON.parse(line);
    return isFields(value) ? value : null;
  } catch {
    return null;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
