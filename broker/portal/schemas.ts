// JSON schemas of the owner's API: what requests are held to and what the OpenAPI document says.
import { EVENT_KINDS } from '../../proto/event.ts';
import { SCOPES } from '../../proto/scopes.ts';
import { SNAPSHOT_CAUSES } from '../../proto/snapshot.ts';
import type { Schema } from '../../proto/validate.ts';
import { KINDS } from './time-account.ts';

export const text = (description: string, maxLength = 200): Schema => ({
  type: 'string',
  description,
  maxLength,
});
export const integer = (description: string): Schema => ({ type: 'integer', description });
export const orNull = (schema: Schema): Schema => ({ ...schema, type: [schema.type, 'null'] });
export const list = (items: Schema, description: string): Schema => ({
  type: 'array',
  items,
  description,
});

/** An object whose keys are all required, and the only ones, unless named in `optional`. */
export function object(
  properties: Readonly<Record<string, Schema>>,
  ...optional: readonly string[]
): Schema {
  const required = Object.keys(properties).filter((key) => !optional.includes(key));
  return { type: 'object', properties, required, additionalProperties: false };
}

export const at = text('ISO 8601, UTC.', 40);
export const atUs = integer('Microseconds since 1970-01-01 UTC.');
export const sha256 = { ...text('SHA-256, hex.', 64), pattern: '^[0-9a-f]{64}$' };
export const streamId = { ...text('Stream id, hex.', 32), pattern: '^[0-9a-f]{32}$' };
export const sequence = {
  ...integer('Number within its stream, from 0.'),
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
};
export const scope: Schema = { type: 'string', enum: [...SCOPES] };
export const scopes = {
  ...list(scope, 'Kinds of data.'),
  maxItems: SCOPES.length,
  uniqueItems: true,
};

export const errorBody = object({
  code: text('Code of the table of errors.'),
  message: text('What happened, and what to do.', 2000),
  retry: { type: 'boolean', description: 'Whether the same request may succeed later.' },
});

/** As an owner gives it; no control characters, and not only spaces. */
export const deviceName = {
  ...text('What you call the camera.', 100),
  pattern: '^[^\\p{Cc}]*[^\\p{Cc}\\s][^\\p{Cc}]*$',
};

export const deviceParams = object({ id: text('Device id.') });
export const spanQuery = {
  from: text('ISO 8601 with zone. Absent: all there is.', 40),
  to: text('ISO 8601 with zone, exclusive. Absent: all there is.', 40),
};

const timeFields = {
  timeCorrectedUs: integer('Added to what the clock of the camera said, microseconds.'),
  timeEstimated: {
    type: 'boolean',
    description: 'The clock of the camera was not set, and nothing has told the time since.',
  },
} as const;

export const gap = object({
  startAt: at,
  startAtUs: atUs,
  durationUs: integer('Microseconds.'),
  reason: text('Why there are no pictures.'),
  code: orNull(text('Error behind it, if there was one.')),
  ...timeFields,
});

const pieceFields = {
  streamId,
  sequence,
  startAt: at,
  startAtUs: atUs,
  durationUs: integer('Microseconds.'),
  bytes: integer('Of its media.'),
  sha256,
  epoch: integer('Consent epoch under which it was captured.'),
  scopes,
  ...timeFields,
};
export const segment = object({ ...pieceFields, receivedAt: at });

const id = { ...text('Id, hex.', 32), pattern: '^[0-9a-f]{32}$' };
export const snapshotId = { ...id, description: 'Snapshot id, hex.' };
export const eventKind = { type: 'string', enum: [...EVENT_KINDS] } as const;

export const event = object({
  eventId: id,
  kind: { ...eventKind, description: 'What happened.' },
  startAt: at,
  startAtUs: atUs,
  durationUs: integer('Microseconds; 0 = a moment, or it lasts.'),
  lasts: { type: 'boolean', description: 'It had not ended when it was last told.' },
  peak: integer('The strongest: motion percent of the picture, sound dB below full scale; else 0.'),
  code: orNull(text('Error behind it, if there was one.')),
  detail: text('For people.'),
  alert: { type: 'boolean', description: 'Of a kind that you wanted to be alerted of.' },
  epoch: integer('Consent epoch under which it happened.'),
  ...timeFields,
  receivedAt: at,
});

export const snapshot = object({
  snapshotId,
  startAt: { ...at, description: 'When it was taken; ISO 8601, UTC.' },
  startAtUs: atUs,
  cause: { type: 'string', enum: [...SNAPSHOT_CAUSES], description: 'Why it was taken.' },
  causeId: orNull(text('The request or event behind it.', 32)),
  width: integer('Pixels.'),
  height: integer('Pixels.'),
  bytes: integer('Of the JPEG.'),
  sha256,
  epoch: integer('Consent epoch under which it was taken.'),
  ...timeFields,
  receivedAt: at,
});

export const policyReference = orNull(
  object({ version: integer('Of the policy.'), language: text('BCP 47.'), sha256 }),
);

export const record = object({
  schema: text('Of the record.'),
  recordId: text('Of the record.'),
  deviceId: text('Device id.'),
  accountId: text('Account id.'),
  epoch: integer('Grows with every record of the device.'),
  event: text('GRANTED, WITHDRAWN, EXPIRED, SUSPENDED, OWNER_CHANGED or RELEASED.'),
  scopes,
  policy: policyReference,
  actor: text('Who.'),
  how: text('By which way.'),
  at,
});

const kind: Schema = { type: 'string', enum: [...KINDS] };
export const account = object({
  stretches: list(
    object({
      from: at,
      to: at,
      fromUs: atUs,
      toUs: atUs,
      durationUs: integer('Microseconds.'),
      kind,
      reasons: list(text('Why.'), 'None where nothing is known, or nothing is to be said.'),
    }),
    'One after another, from the beginning to the end of what was asked.',
  ),
  totals: {
    ...object(Object.fromEntries(KINDS.map((one) => [one, integer('Microseconds.')]))),
    description: 'Of each kind; together the whole time.',
  },
});

export const manifest = object({
  schema: text('Of the manifest.'),
  deviceId: text('Device id.'),
  deviceName: text('Name of the device.'),
  asked: object({ from: orNull(at), to: orNull(at) }),
  asOf: at,
  durationUs: integer('Length of the file, microseconds.'),
  spansSeveralStreams: { type: 'boolean' },
  pieces: list(
    object({ mediaStartUs: integer('Place in the file, microseconds.'), ...pieceFields }),
    'What the file holds, in its order; pieces are whole, so the first and the last may reach beyond the range.',
  ),
  streams: list(
    { type: 'object', additionalProperties: true },
    'Runs of capture that pieces are from.',
  ),
  breaks: list(
    { type: 'object', additionalProperties: true },
    'Places in the file where time without pictures was closed up.',
  ),
  gaps: list(gap, 'Stretches that the camera reported as not recorded.'),
  events: list(event, 'What happened in that time.'),
  snapshots: list(snapshot, 'Pictures taken in that time; each is got by its id.'),
  account: { ...account, description: 'What became of every second of the time asked for.' },
  consent: list(
    { type: 'object', additionalProperties: true },
    'Consent the pieces were captured under.',
  ),
});
