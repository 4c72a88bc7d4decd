// The fields of a log line that may leave the device, and what each may hold. INVARIANT: a field that
// is not in the table stays on the device, and so does a value of another kind than the table says.
import { constants } from 'node:os';
import { SCOPES } from '../../proto/scopes.ts';
import { DOWN_NOUNS, UP_NOUNS } from '../../proto/topics.ts';
import { isCode, type Scrubber } from './scrub.ts';
import { isJoined, isWord } from './words.ts';

export type Value = string | number | boolean | readonly string[];
/** What may pass of a value; undefined for nothing. */
type Kind = (value: unknown, scrubber: Scrubber) => Value | undefined;

const number: Kind = (value) =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;
const boolean: Kind = (value) => (typeof value === 'boolean' ? value : undefined);
const text: Kind = (value, scrubber) =>
  typeof value === 'string' ? scrubber.scrub(value) : undefined;

function oneOf(...words: readonly string[]): Kind {
  const known = new Set(words);
  return (value) => (typeof value === 'string' && known.has(value) ? value : undefined);
}

function shaped(pattern: RegExp): Kind {
  return (value) => (typeof value === 'string' && pattern.test(value) ? value : undefined);
}

/** A word, or a few joined as in `lens_cap`. */
const words: Kind = (value) =>
  typeof value === 'string' && (isWord(value) || isJoined(value, /[-_]/)) ? value : undefined;

function listOf(kind: Kind): Kind {
  return (value, scrubber) => {
    if (!Array.isArray(value)) return undefined;
    const items: unknown[] = value.slice(0, 32);
    return items.flatMap((item) => {
      const passed = kind(item, scrubber);
      return typeof passed === 'string' ? [passed] : [];
    });
  };
}

const code: Kind = (value) => (typeof value === 'string' && isCode(value) ? value : undefined);
const id = shaped(/^(?:[0-9a-f]{32}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})$/);
const scopes = listOf(oneOf(...SCOPES));

const KINDS: Readonly<Record<string, Kind>> = {
  part: words,
  deviceId: shaped(/^cam-[a-z2-7]{16}$/),
  version: shaped(/^\d{1,4}\.\d{1,4}\.\d{1,4}(?:-[a-z]{1,8}(?:\.\d{1,3})?)?$/),
  msg: text,
  code,
  cause: text,
  detail: text,
  reason: text,
  why: text,
  debug: text,
  line: text,
  element: text,
  signal: oneOf(...Object.keys(constants.signals)),
  source: oneOf('v4l2', 'rtsp', 'libcamera', 'file', 'test', 'server', 'device', 'lens', 'stick'),
  cap: oneOf('on', 'off'),
  noun: oneOf(...UP_NOUNS, ...DOWN_NOUNS),
  lane: oneOf('now', 'waited', 'live', 'backlog', 'errand'),
  state: words,
  streamId: id,
  gapId: id,
  eventId: id,
  snapshotId: id,
  batchId: id,
  bootId: id,
  scopes,
};
const NUMBERS =
  'audioKbps attempt attempts bitrateKbps bytes configVersion count dropped droppedLines durationMs durationUs epoch exitCode frames freeBytes height highestEpoch holdMs inForce intervalMs items jumpMs leaseS left leftMs lines nextAttemptMs offsetMs offsetUs pid records revision segments sequence sizeBytes sinceMs skipped tries usedBytes waitMs waiting width';
const BOOLEANS = 'audio erase isFinal isFresh isTold killed live';

/** By the name of the field. */
export const FIELDS: ReadonlyMap<string, Kind> = new Map([
  ...Object.entries(KINDS),
  ...NUMBERS.split(' ').map((name): [string, Kind] => [name, number]),
  ...BOOLEANS.split(' ').map((name): [string, Kind] => [name, boolean]),
]);
