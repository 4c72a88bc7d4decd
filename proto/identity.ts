// The identity bundle: what a device needs to prove itself and to know its server.
// Written by the agent when it is claimed, or by the server's `device add`; mode 0600, since it holds
// the key.
import { documentChecker } from './validate.ts';

export interface IdentityBundle {
  readonly version: 1;
  readonly deviceId: string;
  /** PEM. */
  readonly privateKey: string;
  /** PEM. */
  readonly certificate: string;
  readonly server: { readonly host: string; readonly port: number };
  /** Key and certificate before a renewal, until the new ones were used once; else null. PEM. */
  readonly previous: { readonly privateKey: string; readonly certificate: string } | null;
  /** PEM; the only authority the agent believes. */
  readonly ca: string;
  /** PEM (SPKI, Ed25519); the only key whose grants the agent obeys. */
  readonly consentKey: string;
}

const pem = { type: 'string', minLength: 64, maxLength: 16384, pattern: '^-----BEGIN ' };
const server = {
  type: 'object',
  required: ['host', 'port'],
  additionalProperties: false,
  properties: {
    host: { type: 'string', minLength: 1, maxLength: 253 },
    port: { type: 'integer', minimum: 1, maximum: 65535 },
  },
};

/** @throws IDENTITY_INVALID. */
export const checkIdentity = documentChecker<IdentityBundle>(
  {
    type: 'object',
    required: ['version', 'deviceId', 'privateKey', 'certificate', 'server', 'ca', 'consentKey'],
    additionalProperties: false,
    properties: {
      version: { const: 1 },
      deviceId: { type: 'string', pattern: '^cam-[a-z2-7]{16}$' },
      privateKey: pem,
      certificate: pem,
      server,
      previous: {
        type: ['object', 'null'],
        default: null,
        required: ['privateKey', 'certificate'],
        additionalProperties: false,
        properties: { privateKey: pem, certificate: pem },
      },
      ca: pem,
      consentKey: pem,
    },
  },
  'IDENTITY_INVALID',
);

/** What a maker puts on a board, so that it can be claimed by the code on its label. Mode 0600. */
export interface FactoryIdentity {
  readonly version: 1;
  readonly serial: string;
  /** PEM; made on the board. */
  readonly privateKey: string;
  /** PEM; self-signed, only its key counts. */
  readonly certificate: string;
  readonly server: { readonly host: string; readonly port: number };
  /** PEM. */
  readonly ca: string;
}

/** @throws IDENTITY_INVALID. */
export const checkFactoryIdentity = documentChecker<FactoryIdentity>(
  {
    type: 'object',
    required: ['version', 'serial', 'privateKey', 'certificate', 'server', 'ca'],
    additionalProperties: false,
    properties: {
      version: { const: 1 },
      serial: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' },
      privateKey: pem,
      certificate: pem,
      server,
      ca: pem,
    },
  },
  'IDENTITY_INVALID',
);
