// The agent's configuration file: one schema with every default, unit and range.
// What belongs to the hardware; nothing in it can widen consent.
import { documentChecker, type Schema } from './validate.ts';

export type SourceConfig =
  | {
      readonly type: 'v4l2';
      readonly device: string;
      readonly format: 'raw' | 'mjpeg' | 'h264';
    }
  | {
      readonly type: 'rtsp';
      readonly url: string;
      readonly credentialsFile: string | null;
      readonly transport: 'tcp' | 'udp';
      readonly latencyMs: number;
    }
  | { readonly type: 'libcamera'; readonly camera: string | null }
  | { readonly type: 'file'; readonly path: string; readonly loop: boolean }
  | { readonly type: 'test' };

export interface VideoConfig {
  readonly width: number;
  readonly height: number;
  readonly frameRate: number;
  readonly bitrateKbps: number;
  readonly keyframeIntervalMs: number;
  readonly encoder: string;
}

export interface AudioConfig {
  readonly source: 'none' | 'source' | 'alsa';
  readonly device: string;
  readonly codec: 'aac' | 'opus';
  readonly bitrateKbps: number;
}

export type ButtonConfig =
  | { readonly type: 'input'; readonly device: string; readonly keyCode: number }
  | {
      readonly type: 'gpio';
      readonly chip: string;
      readonly line: number;
      readonly activeLow: boolean;
    };

export interface AgentConfig {
  readonly identity: string;
  readonly factory: string | null;
  readonly stateDir: string;
  readonly source: SourceConfig;
  readonly video: VideoConfig;
  readonly audio: AudioConfig;
  readonly segment: { readonly durationMs: number };
  readonly capture: {
    readonly stallTimeoutMs: number;
    readonly startTimeoutMs: number;
    readonly backoffMinMs: number;
    readonly backoffMaxMs: number;
    readonly clockJumpMs: number;
  };
  readonly claim: { readonly lens: boolean; readonly folders: readonly string[] };
  readonly board: { readonly resetButton: ButtonConfig | null; readonly resetHoldMs: number };
  readonly spool: {
    readonly maxBytes: number;
    readonly maxAgeS: number;
    readonly memoryBytes: number;
    readonly flushAfterMs: number;
    readonly minFreeMemoryBytes: number;
    readonly durability: 'sparing' | 'always';
  };
  readonly uplink: {
    readonly window: number;
    readonly backlogPercent: number;
    readonly maxKbps: number;
    readonly meteredInterfaces: readonly string[];
    readonly keepaliveS: number;
    readonly connectTimeoutMs: number;
    readonly ackTimeoutMs: number;
    readonly backoffMinMs: number;
    readonly backoffMaxMs: number;
    readonly drainTimeoutMs: number;
  };
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' };
}

const integer = (description: string, value: number, minimum: number, maximum: number): Schema => ({
  type: 'integer',
  description,
  default: value,
  minimum,
  maximum,
});
const oneOf = (description: string, ...values: readonly string[]): Schema => ({
  type: 'string',
  description,
  default: values[0],
  enum: values,
});
const path = (description: string): Schema => ({
  type: 'string',
  description,
  minLength: 1,
  maxLength: 4096,
});
const group = (description: string, properties: Record<string, Schema>): Schema => ({
  type: 'object',
  description,
  default: {},
  additionalProperties: false,
  properties,
});
const source = (
  type: string,
  description: string,
  required: readonly string[],
  properties: Record<string, Schema>,
): Schema => ({
  description,
  required: ['type', ...required],
  additionalProperties: false,
  properties: { type: { const: type }, ...properties },
});

const sources: readonly Schema[] = [
  source('v4l2', 'A camera of the kernel (USB, CSI).', ['device'], {
    device: { ...path('Device node, e.g. /dev/video0.'), pattern: '^/dev/' },
    format: oneOf('What the camera delivers; h264 is passed through.', 'raw', 'mjpeg', 'h264'),
  }),
  source('rtsp', 'A network camera. H.264 is passed through.', ['url'], {
    url: {
      type: 'string',
      description: 'Address without user or password.',
      pattern: '^rtsps?://[^@\\s]+$',
      maxLength: 2048,
    },
    credentialsFile: {
      type: ['string', 'null'],
      description: 'File of mode 0600 with one line `user:password`. Absent: none.',
      default: null,
    },
    transport: oneOf('How the media travel.', 'tcp', 'udp'),
    latencyMs: integer('Jitter buffer, milliseconds.', 200, 0, 10000),
  }),
  source('libcamera', 'A camera of libcamera (e.g. Raspberry Pi).', [], {
    camera: {
      type: ['string', 'null'],
      description: 'Name as printed by `cam -l`. Absent: the first one.',
      default: null,
      maxLength: 256,
    },
  }),
  source('file', 'A recording, played in real time.', ['path'], {
    path: path('Any container and codec that GStreamer reads.'),
    loop: { type: 'boolean', description: 'Begin again at the end.', default: false },
  }),
  source('test', 'A moving picture and a tone.', [], {}),
];

const buttons: readonly Schema[] = [
  source('input', 'A key of the Linux input system (e.g. gpio-keys).', ['device', 'keyCode'], {
    device: { ...path('Device node, e.g. /dev/input/event0.') },
    keyCode: integer('Code of the key as in linux/input-event-codes.h.', 408, 1, 767),
  }),
  source('gpio', 'A GPIO line, read by gpiomon of the Debian package gpiod.', ['chip', 'line'], {
    chip: {
      type: 'string',
      description: 'Chip, e.g. gpiochip0.',
      pattern: '^[A-Za-z0-9_-]{1,64}$',
    },
    line: integer('Offset of the line.', 0, 0, 4095),
    activeLow: { type: 'boolean', description: 'Pressed means low.', default: true },
  }),
];

export const agentConfigSchema: Schema = {
  type: 'object',
  required: ['identity', 'stateDir', 'source'],
  additionalProperties: false,
  properties: {
    identity: path(
      'Identity of the device, mode 0600: written when it is claimed, or by `lenscap-server device add`.',
    ),
    factory: {
      type: ['string', 'null'],
      description: 'Factory identity, mode 0600, for claiming by the label. Absent: none.',
      default: null,
      minLength: 1,
      maxLength: 4096,
    },
    stateDir: path('Folder for what the agent keeps, such as the grant. Made if absent.'),
    source: {
      type: 'object',
      description: 'Where pictures come from.',
      required: ['type'],
      discriminator: { propertyName: 'type' },
      oneOf: sources,
    },
    video: group('How pictures are encoded, when the source is not H.264 already.', {
      width: integer('Pixels.', 1280, 64, 7680),
      height: integer('Pixels.', 720, 64, 4320),
      frameRate: integer('Frames per second.', 30, 1, 120),
      bitrateKbps: integer('Kilobits per second.', 2000, 50, 50000),
      keyframeIntervalMs: integer(
        'Longest time between keyframes, milliseconds.',
        2000,
        200,
        10000,
      ),
      encoder: {
        type: 'string',
        description:
          '`auto` (hardware first, then x264enc, then openh264enc) or one of v4l2h264enc, mpph264enc, vah264enc, vaapih264enc, omxh264enc, x264enc, openh264enc.',
        default: 'auto',
        pattern: '^[a-z0-9]{1,40}$',
      },
    }),
    audio: group('Sound; recorded only with the scope `audio`.', {
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
    }),
    segment: group('How the stream is cut.', {
      durationMs: integer('Aim, milliseconds; cut at the next keyframe.', 4000, 500, 60000),
    }),
    capture: group('How a source is watched.', {
      stallTimeoutMs: integer('Silence that counts as a stall, milliseconds.', 4000, 500, 60000),
      startTimeoutMs: integer(
        'Longest wait for the first picture, milliseconds.',
        10000,
        500,
        120000,
      ),
      backoffMinMs: integer('First wait before a restart, milliseconds.', 1000, 10, 60000),
      backoffMaxMs: integer('Longest wait before a restart, milliseconds.', 60000, 10, 3600000),
      clockJumpMs: integer(
        'A step of the wall clock that splits the stream, milliseconds.',
        1000,
        100,
        60000,
      ),
    }),
    claim: group('Where a setup code is looked for while the board has no identity.', {
      lens: {
        type: 'boolean',
        description: 'A QR code held before the camera; pictures stay in the capture process.',
        default: true,
      },
      folders: {
        type: 'array',
        description: 'Folders in which, or in whose folders, lenscap-claim.txt is looked for.',
        default: ['/boot', '/media', '/mnt'],
        maxItems: 16,
        items: { type: 'string', minLength: 1, maxLength: 4096 },
      },
    }),
    board: group('What the board has.', {
      resetButton: {
        type: ['object', 'null'],
        description: 'Button that resets the board when held. Absent: none.',
        default: null,
        required: ['type'],
        discriminator: { propertyName: 'type' },
        oneOf: buttons,
      },
      resetHoldMs: integer('How long the button has to be held, milliseconds.', 10000, 1000, 60000),
    }),
    spool: group('What waits for the server.', {
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
    }),
    uplink: group('The connection to the server.', {
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
      drainTimeoutMs: integer(
        'Time to send what waits when stopped, milliseconds.',
        5000,
        0,
        60000,
      ),
    }),
    log: group('What the agent writes to its standard error.', {
      level: oneOf('Least level.', 'info', 'trace', 'debug', 'warn', 'error', 'fatal'),
    }),
  },
};

/** @throws CONFIG_INVALID, every fault with its path. */
export const checkAgentConfig = documentChecker<AgentConfig>(agentConfigSchema, 'CONFIG_INVALID');
