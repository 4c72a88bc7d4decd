// The server's configuration file: one schema with every default, unit and range.
import { documentChecker, type Schema } from './validate.ts';

export interface ServerConfig {
  readonly mqtt: {
    readonly host: string;
    readonly port: number;
    readonly publicHost: string;
    readonly maxConnections: number;
    readonly maxConnectionsPerAddress: number;
    readonly connectTimeoutMs: number;
    readonly packetTimeoutMs: number;
    readonly maxConnectBytes: number;
    readonly maxControlBytes: number;
    readonly maxControlPerS: number;
    readonly maxPacketBytes: number;
    readonly maxInflight: number;
  };
  readonly http: {
    readonly host: string;
    readonly port: number;
    readonly publicUrl: string | null;
    readonly loginsPerMinute: number;
    readonly requestsPerMinute: number;
    readonly snapshotsPerMinute: number;
    readonly sessionS: number;
    readonly playS: number;
  };
  readonly consent: { readonly leaseS: number };
  readonly store: { readonly minFreeBytes: number };
  readonly certificates: { readonly deviceLifeS: number };
  readonly claims: {
    readonly lifeS: number;
    readonly failures: number;
    readonly maxOpen: number;
    readonly maxConnections: number;
    readonly attemptsPerMinute: number;
    readonly failuresPerMinutePerAddress: number;
  };
  readonly metrics: { readonly host: string; readonly port: number };
  readonly log: { readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' };
}

const integer = (description: string, value: number, minimum: number, maximum: number): Schema => ({
  type: 'integer',
  description,
  default: value,
  minimum,
  maximum,
});
const host = (description: string, value: string): Schema => ({
  type: 'string',
  description,
  default: value,
  minLength: 1,
  maxLength: 253,
  pattern: '^[A-Za-z0-9.:-]+$',
});
const group = (description: string, properties: Record<string, Schema>): Schema => ({
  type: 'object',
  description,
  default: {},
  additionalProperties: false,
  properties,
});

export const serverConfigSchema: Schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    mqtt: group('The listener for devices: MQTT 3.1.1 over TLS 1.3 with client certificates.', {
      host: host('Address to listen on.', '127.0.0.1'),
      port: integer('TCP port; 0 = a free one.', 8883, 0, 65535),
      publicHost: host('Name or address by which devices reach the server.', 'localhost'),
      maxConnections: integer('Open connections in total.', 4096, 1, 100000),
      maxConnectionsPerAddress: integer('Open connections of one address.', 4096, 1, 100000),
      connectTimeoutMs: integer('From TCP to an accepted CONNECT, milliseconds.', 5000, 100, 60000),
      packetTimeoutMs: integer(
        'Longest wait for each 64 KiB of a packet, or for its rest, milliseconds.',
        120000,
        100,
        3600000,
      ),
      maxConnectBytes: integer('Largest CONNECT.', 4096, 64, 65536),
      maxControlBytes: integer(
        'Largest packet that is neither CONNECT nor PUBLISH.',
        65536,
        64,
        1048576,
      ),
      maxControlPerS: integer(
        'Packets of one connection that are neither CONNECT nor PUBLISH, in a second.',
        200,
        1,
        100000,
      ),
      maxPacketBytes: integer(
        'Largest PUBLISH, and so the largest segment.',
        16 << 20,
        65536,
        256 << 20,
      ),
      maxInflight: integer(
        'Unacknowledged PUBLISHes of one connection that are worked on.',
        4,
        1,
        64,
      ),
    }),
    http: group("The owner's API.", {
      host: host('Address to listen on. Beyond loopback only behind a TLS proxy.', '127.0.0.1'),
      port: integer('TCP port; 0 = a free one.', 8480, 0, 65535),
      publicUrl: {
        type: ['string', 'null'],
        description: 'Address by which owners reach the API, if a proxy stands before it.',
        default: null,
        pattern: '^https?://',
      },
      loginsPerMinute: integer('Attempts to log in of one address.', 10, 1, 10000),
      requestsPerMinute: integer('Requests of one address.', 6000, 10, 1000000),
      snapshotsPerMinute: integer('Pictures that an owner asks cameras for.', 30, 1, 10000),
      sessionS: integer('Life of a login, seconds.', 30 * 86400, 60, 365 * 86400),
      playS: integer('Life of an address to play, seconds.', 900, 10, 86400),
    }),
    consent: group('Consent.', {
      leaseS: integer(
        'How long a camera may record without hearing from the server, seconds.',
        7 * 86400,
        10,
        90 * 86400,
      ),
    }),
    store: group('The storage.', {
      minFreeBytes: integer(
        'Room that recordings leave for withdrawals and deletions, bytes.',
        64 << 20,
        1 << 20,
        2 ** 40,
      ),
    }),
    certificates: group('Certificates of devices.', {
      deviceLifeS: integer(
        'Life of a certificate, seconds; renewed from two thirds on.',
        90 * 86400,
        10,
        3650 * 86400,
      ),
    }),
    claims: group('How boards get their identity.', {
      lifeS: integer('Life of a setup code, seconds.', 900, 1, 86400),
      failures: integer('Wrong proofs after which a setup code is void.', 5, 1, 100),
      maxOpen: integer('Open setup codes of one account.', 20, 1, 1000),
      maxConnections: integer('Open connections of boards without an identity.', 64, 1, 4096),
      attemptsPerMinute: integer('Attempts of all boards together.', 3000, 1, 1000000),
      failuresPerMinutePerAddress: integer(
        'Failed attempts of one address, after which it has to wait.',
        20,
        1,
        100000,
      ),
    }),
    metrics: group('Figures for Prometheus, at /metrics. They name no owner.', {
      host: host('Address to listen on.', '127.0.0.1'),
      port: integer('TCP port; 0 = a free one.', 9480, 0, 65535),
    }),
    log: group('What the server writes to its standard error.', {
      level: {
        type: 'string',
        description: 'Least level.',
        default: 'info',
        enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
      },
    }),
  },
};

/** @throws CONFIG_INVALID, every fault with its path. */
export const checkServerConfig = documentChecker<ServerConfig>(
  serverConfigSchema,
  'CONFIG_INVALID',
);
