// The agent's configuration file: the board's profile, which cannot be changed from afar, and the
// board's own values for the settings that can. Nothing in it can widen consent.
import type { Settings } from './settings.ts';
import { group, integer, oneOf, settingsSchema } from './settings-schema.ts';
import { documentChecker, type Schema } from './validate.ts';

export type { AudioConfig, VideoConfig } from './settings.ts';

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

export type ButtonConfig =
  | { readonly type: 'input'; readonly device: string; readonly keyCode: number }
  | {
      readonly type: 'gpio';
      readonly chip: string;
      readonly line: number;
      readonly activeLow: boolean;
    };

export type LightConfig =
  | { readonly type: 'led'; readonly path: string }
  | {
      readonly type: 'gpio';
      readonly chip: string;
      readonly line: number;
      readonly activeLow: boolean;
    };

export interface AgentConfig extends Settings {
  readonly identity: string;
  readonly factory: string | null;
  readonly stateDir: string;
  readonly source: SourceConfig;
  readonly capture: {
    readonly stallTimeoutMs: number;
    readonly startTimeoutMs: number;
    readonly backoffMinMs: number;
    readonly backoffMaxMs: number;
    readonly clockJumpMs: number;
  };
  readonly claim: { readonly lens: boolean; readonly folders: readonly string[] };
  readonly board: {
    readonly model: string | null;
    readonly resetButton: ButtonConfig | null;
    readonly resetHoldMs: number;
    readonly light: LightConfig | null;
  };
  readonly health: { readonly intervalS: number; readonly provenAfterMs: number };
}

const path = (description: string): Schema => ({
  type: 'string',
  description,
  minLength: 1,
  maxLength: 4096,
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

const lights: readonly Schema[] = [
  source('led', 'A light of the kernel.', ['path'], {
    path: { ...path('Its folder, e.g. /sys/class/leds/status.'), pattern: '^/' },
  }),
  source('gpio', 'A GPIO line, set by gpioset of the Debian package gpiod.', ['chip', 'line'], {
    chip: {
      type: 'string',
      description: 'Chip, e.g. gpiochip0.',
      pattern: '^[A-Za-z0-9_-]{1,64}$',
    },
    line: integer('Offset of the line.', 0, 0, 4095),
    activeLow: { type: 'boolean', description: 'Low means lit.', default: false },
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
      model: {
        type: ['string', 'null'],
        description: 'What its maker calls it. Absent: as the device tree or the firmware says.',
        default: null,
        minLength: 1,
        maxLength: 64,
      },
      resetButton: {
        type: ['object', 'null'],
        description: 'Button that resets the board when held. Absent: none.',
        default: null,
        required: ['type'],
        discriminator: { propertyName: 'type' },
        oneOf: buttons,
      },
      resetHoldMs: integer('How long the button has to be held, milliseconds.', 10000, 1000, 60000),
      light: {
        type: ['object', 'null'],
        description:
          'Indicator light: without it the camera is not opened. Absent: a line in the log.',
        default: null,
        required: ['type'],
        discriminator: { propertyName: 'type' },
        oneOf: lights,
      },
    }),
    health: group('How the camera reports and judges itself.', {
      intervalS: integer('Between two reports of its health, seconds.', 300, 1, 86400),
      provenAfterMs: integer(
        'Pictures have to flow for so long before a new configuration counts as good.',
        10000,
        500,
        600000,
      ),
    }),
    ...settingsSchema,
  },
};

/** @throws CONFIG_INVALID, every fault with its path. */
export const checkAgentConfig = documentChecker<AgentConfig>(agentConfigSchema, 'CONFIG_INVALID');
