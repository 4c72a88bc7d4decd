// The settings of a camera: every default, unit and range, said once.
import { DAYS, type Settings } from './settings.ts';
import type { Schema } from './validate.ts';

export const integer = (
  description: string,
  value: number,
  minimum: number,
  maximum: number,
): Schema => ({ type: 'integer', description, default: value, minimum, maximum });

export const oneOf = (description: string, ...values: readonly string[]): Schema => ({
  type: 'string',
  description,
  default: values[0],
  enum: values,
});

export const flag = (description: string, value: boolean): Schema => ({
  type: 'boolean',
  description,
  default: value,
});

export const group = (description: string, properties: Record<string, Schema>): Schema => ({
  type: 'object',
  description,
  default: {},
  additionalProperties: false,
  properties,
});

/** Most masks, and most zones. */
export const MAX_POLYGONS = 16;
export const MAX_POINTS = 64;

const polygons = (description: string): Schema => ({
  type: 'array',
  description: `${description} Each polygon is 3 to ${MAX_POINTS} points [x, y], in shares of the picture from its left and its top.`,
  default: [],
  maxItems: MAX_POLYGONS,
  items: {
    type: 'array',
    minItems: 3,
    maxItems: MAX_POINTS,
    items: {
      type: 'array',
      minItems: 2,
      maxItems: 2,
      items: { type: 'number', minimum: 0, maximum: 1 },
    },
  },
});

/** Text of a person, on one line: neither control characters nor marks that turn the direction. */
const words = (description: string, maxLength: number): Schema => ({
  type: ['string', 'null'],
  description: `${description} Absent: none.`,
  default: null,
  minLength: 1,
  maxLength,
  pattern: '^[^\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}]*$',
});

const hours: Schema = {
  type: 'object',
  required: ['days', 'from', 'to'],
  additionalProperties: false,
  properties: {
    days: { type: 'array', minItems: 1, maxItems: 7, uniqueItems: true, items: { enum: DAYS } },
    from: { type: 'string', pattern: '^([01]\\d|2[0-3]):[0-5]\\d$' },
    to: { type: 'string', pattern: '^(([01]\\d|2[0-3]):[0-5]\\d|24:00)$' },
  },
};

const video = group('How pictures are encoded, when the source is not H.264 already.', {
  // H.264 halves the resolution of colour, and its encoders refuse what cannot be halved.
  width: { ...integer('Pixels, of what is recorded; even.', 1280, 64, 7680), multipleOf: 2 },
  height: { ...integer('Pixels; even.', 720, 64, 4320), multipleOf: 2 },
  frameRate: integer('Frames per second.', 30, 1, 120),
  bitrateKbps: integer('Kilobits per second.', 2000, 50, 50000),
  keyframeIntervalMs: integer('Longest time between keyframes, milliseconds.', 2000, 200, 10000),
  rotation: {
    type: 'integer',
    description: 'Degrees clockwise; 0, 90, 180 or 270.',
    default: 0,
    enum: [0, 90, 180, 270],
  },
  flip: oneOf('Mirrored after turning.', 'none', 'horizontal', 'vertical'),
  brightness: integer('Percent, added; what is passed through is encoded for it.', 0, -100, 100),
  encoder: {
    type: 'string',
    description:
      '`auto` (hardware first, then x264enc, then openh264enc) or one of v4l2h264enc, mpph264enc, vah264enc, vaapih264enc, omxh264enc, x264enc, openh264enc.',
    default: 'auto',
    pattern: '^[a-z0-9]{1,40}$',
  },
});

const audio = group('Sound; recorded only with the scope `audio`.', {
  on: flag('Whether there is sound where the board can hear.', true),
  source: oneOf(
    '`source`: the track of the source. `alsa`: a microphone.',
    'none',
    'source',
    'alsa',
  ),
  device: {
    type: 'string',
    description: 'ALSA device.',
    default: 'default',
    pattern: '^[\\w:,.=-]{1,100}$',
  },
  codec: oneOf('What sound is stored as.', 'aac', 'opus'),
  bitrateKbps: integer('Kilobits per second.', 64, 8, 320),
  gainDb: integer('Decibels, added; sound that is passed through stays as it is.', 0, -60, 20),
  eventDb: {
    type: ['integer', 'null'],
    description: 'Sound at this level (dB of full scale) or over it is an event. Absent: none is.',
    default: null,
    minimum: -90,
    maximum: 0,
  },
});

const recording = group('When pictures are recorded.', {
  mode: oneOf(
    '`motion`: only while something moves. `off`: never; the camera is not opened.',
    'continuous',
    'motion',
    'off',
  ),
  schedule: {
    type: ['array', 'null'],
    description:
      'Hours of the week, by clock.timeZone; outside them the camera is not opened. Absent: always.',
    default: null,
    minItems: 1,
    maxItems: 50,
    items: hours,
  },
  preRollMs: integer('Kept in memory, and recorded when motion begins.', 4000, 0, 30000),
  postRollMs: integer('Recorded after motion has ended.', 5000, 0, 60000),
});

const motion = group('Motion before the camera; `recording.mode` motion looks for it anyway.', {
  on: flag('Whether motion is looked for, and told as events.', false),
  sensitivityPercent: integer('How little counts as motion.', 50, 1, 100),
  zones: polygons('Where motion counts. Empty: everywhere.'),
});

const spool = group('What waits for the server.', {
  maxBytes: integer(
    'Bytes on flash, in stateDir; beyond them the oldest are given up. 5% of the file system always stay free.',
    1 << 30,
    1 << 20,
    2 ** 40,
  ),
  maxAgeS: integer('What waited longer is given up, seconds.', 604800, 60, 31536000),
  memoryBytes: integer(
    'Bytes in memory; beyond them the oldest move to flash, or are given up where it takes nothing.',
    32 << 20,
    1 << 20,
    1 << 30,
  ),
  flushAfterMs: integer(
    'Silence of the server after which what waits moves to flash, milliseconds.',
    10000,
    100,
    600000,
  ),
  minFreeMemoryBytes: integer(
    'Free memory of the machine below which what waits moves to flash.',
    32 << 20,
    0,
    2 ** 34,
  ),
  durability: oneOf(
    '`sparing`: flash is written when the server does not answer. `always`: each segment is written at once.',
    'sparing',
    'always',
  ),
});

const uplink = group('The connection to the server.', {
  window: integer('Publishes that wait for their acknowledgement.', 4, 1, 16),
  backlogPercent: integer(
    'Share of the time of the link that what waited may take, beside what happens now.',
    80,
    1,
    100,
  ),
  maxKbps: integer('Most that is sent, kilobits per second; 0: no limit.', 0, 0, 10000000),
  meteredInterfaces: {
    type: 'array',
    description:
      'Network interfaces that cost by volume, e.g. `wwan0` or `ppp*`: no media are sent over them, which wait for another one.',
    default: [],
    maxItems: 16,
    items: { type: 'string', pattern: '^[A-Za-z0-9._:@-]{1,15}\\*?$' },
  },
  keepaliveS: integer('MQTT keepalive, seconds; an upload has to fit into it.', 180, 5, 3600),
  connectTimeoutMs: integer('Longest wait for a connection, milliseconds.', 10000, 500, 120000),
  ackTimeoutMs: integer(
    'Longest wait for an acknowledgement while nothing moves on the line, milliseconds.',
    30000,
    1000,
    3600000,
  ),
  backoffMinMs: integer('First wait before reconnecting, milliseconds.', 1000, 10, 60000),
  backoffMaxMs: integer('Longest wait before reconnecting, milliseconds.', 60000, 10, 3600000),
  drainTimeoutMs: integer('Time to send what waits when stopped, milliseconds.', 5000, 0, 60000),
});

export const settingsSchema: Readonly<Record<keyof Settings, Schema>> = {
  video,
  audio,
  segment: group('How the stream is cut.', {
    durationMs: integer('Aim, milliseconds; cut at the next keyframe.', 4000, 500, 60000),
  }),
  recording,
  motion,
  masks: polygons(
    'Private parts of the picture: black before it is encoded, so that nothing else ever leaves.',
  ),
  overlay: group('What is written into the picture.', {
    name: flag('The name of the camera, `label.name`.', false),
    clock: flag('Date and time.', false),
  }),
  clock: group('The clock on the wall, for schedules and the one in the picture.', {
    timeZone: {
      type: 'string',
      description: 'Name of the IANA data base, e.g. Europe/Berlin.',
      default: 'Etc/UTC',
      pattern: '^[A-Z][A-Za-z0-9_+-]{0,30}(/[A-Z][A-Za-z0-9_+-]{0,29}){0,2}$',
    },
  }),
  snapshot: group('Still pictures, with the scope `snapshot`.', {
    intervalS: integer('One each so many seconds; 0: none.', 0, 0, 86400),
    onMotion: flag('One when motion begins.', false),
  }),
  light: group('The indicator light. It cannot be turned off: it tells the truth.', {
    brightnessPercent: integer('Where it can be dimmed.', 100, 5, 100),
  }),
  label: group('What its owner calls it.', {
    name: words('Name.', 100),
    location: words('Where it is; with the scope `location`.', 200),
  }),
  spool,
  uplink,
  log: group('What the agent notes about itself.', {
    level: oneOf('Least level.', 'info', 'trace', 'debug', 'warn', 'error', 'fatal'),
    maxBytes: integer('Of log files in stateDir; the oldest go.', 4 << 20, 64 << 10, 1 << 30),
    linesPerMinute: integer('More are counted and dropped before they are sent.', 600, 1, 60000),
  }),
};
