// The identity bundle: what a device needs to prove itself and to know its server.
// Written by the server's `device add`, read by the agent; mode 0600, since it holds the key.
import { documentChecker } from './validate.ts';

export interface IdentityBundle {
  readonly version: 1;
  readonly deviceId: string;
  /** PEM. */
  readonly privateKey: string;
  /** PEM. */
  readonly certificate: string;
  readonly server: { readonly host: string; readonly port: number };
  /** PEM; the only authority the agent believes. */
  readonly ca: string;
  /** PEM (SPKI, Ed25519); the only key whose grants the agent obeys. */
  readonly consentKey: string;
}

const pem = { type: 'string', minLength: 64, maxLength: 16384, pattern: '^-----BEGIN ' };

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
      server: {
        type: 'object',
        required: ['host', 'port'],
        additionalProperties: false,
        properties: {
          host: { type: 'string', minLength: 1, maxLength: 253 },
          port: { type: 'integer', minimum: 1, maximum: 65535 },
        },
      },
      ca: pem,
      consentKey: pem,
    },
  },
  'IDENTITY_INVALID',
);
