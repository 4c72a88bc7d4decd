// The configuration of a camera as its owner sees it: what is wanted, what the camera says, where they
// differ and since when. Pure.
import { CONFIG_STATES, type Reported } from '../../proto/desired-config.ts';
import { differences, isObject, type JsonObject } from '../../proto/device-config.ts';
import type { Version } from '../fleet/configuration.ts';
import { at, integer, list, object, orNull, text } from './schemas.ts';
import { isoTime } from './times.ts';

/** What a camera answered, and when that came in. */
export interface Answered {
  readonly receivedAtUs: number;
  readonly message: Reported;
}

const anyObject = { type: 'object', additionalProperties: true };

const written = {
  writtenAt: orNull(at),
  writtenBy: orNull(text('`owner` or `operator`.')),
  how: orNull(text('By which way, e.g. `api`, `rollout 7`, `restored from 3`.')),
};

export const versionFields = {
  version: integer('Grows with every change; 0 = nobody ever wanted another.'),
  document: { ...anyObject, description: 'What is absent is as the board says.' },
  ...written,
};

export const versionSchema = object(versionFields);

export const entrySchema = object({
  ...versionFields,
  paths: {
    ...list(text('JSON pointer.', 300), 'Settings that it changed; null = not known any more.'),
    type: ['array', 'null'],
  },
});

const reported = {
  ...object({
    version: integer('That it speaks of.'),
    state: { type: 'string', enum: [...CONFIG_STATES] },
    inForce: integer("Version in force on it; 0 = the board's own."),
    at: { ...at, description: 'By its clock.' },
    receivedAt: at,
    code: orNull(text('Why, where it is rejected or reverted.')),
    detail: text('In words.', 500),
    faults: list(
      object({ path: text('JSON pointer.', 300), message: text('What would be allowed.', 300) }),
      'What it does not take.',
    ),
    settings: { ...anyObject, description: 'Every setting in force that can be changed.' },
  }),
  type: ['object', 'null'],
};

export const stateSchema = object({
  ...versionFields,
  shared: {
    type: 'boolean',
    description: 'Whether you consent to device_info; else what the camera says is not known.',
  },
  connected: { type: 'boolean' },
  reported,
  differences: list(
    object({
      path: text('JSON pointer.', 300),
      desired: { description: 'What is wanted.' },
      reported: { description: 'What is in force; null = not told.' },
    }),
    'Settings in force that are not what is wanted.',
  ),
  since: orNull({
    ...at,
    description: 'Since when they differ; null = they do not, or not known.',
  }),
});

export function describeVersion({ version, document, written: by }: Version, accountId: string) {
  return { version, document, ...describeWriter(by, accountId) };
}

function describeWriter(by: Version['written'], accountId: string) {
  return {
    writtenAt: by ? isoTime(by.atUs) : null,
    writtenBy: by ? (by.actor === accountId ? 'owner' : 'operator') : null,
    how: by?.how ?? null,
  };
}

/** `answered` is null where the camera has said nothing, or nothing that may be known. */
export function describeReported(wanted: Version, answered: Answered | null) {
  if (!answered) return { reported: null, differences: [], since: null };
  const { message, receivedAtUs } = answered;
  const { version, state, inForce, atUs, code, detail, faults } = message;
  const settings = settingsOf(message);
  const found = differences(wanted.document, settings).map(({ path, desired, reported: told }) => ({
    ...{ path, desired, reported: told ?? null },
  }));
  const sinceUs = message.version < wanted.version ? wanted.written?.atUs : receivedAtUs;
  return {
    reported: {
      ...{ version, state, inForce, at: isoTime(atUs), receivedAt: isoTime(receivedAtUs) },
      ...{ code, detail, faults, settings },
    },
    differences: found,
    since: found.length === 0 || sinceUs === undefined ? null : isoTime(sinceUs),
  };
}

/** That it is an object was seen when it came in. */
function settingsOf({ settings }: Reported): JsonObject {
  const parsed: unknown = JSON.parse(settings);
  return isObject(parsed) ? parsed : {};
}
