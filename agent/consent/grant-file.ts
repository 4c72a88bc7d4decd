// The grant in force as it survives a restart: one file, replaced as a whole.
// Invariant: after a crash at any moment the file is the old or the new one; every other content is
// told apart by its checksum. Layout, in text:
//   lenscap-grant 1 <SHA-256 of all after this line, hex>\n{"receivedAtUs":…,"payload":…}
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LenscapError } from '../../proto/errors.ts';
import { documentChecker } from '../../proto/validate.ts';
import { codeOf, removeFile, replaceSecret, storeError } from '../durable-file.ts';

const NAME = 'grant';
const HEAD = /^lenscap-grant 1 ([0-9a-f]{64})\n/;

export interface SavedGrant {
  /** Wall time of receipt, from which the lease counts after a restart. */
  readonly receivedAtUs: number;
  /** The payload of down/grant, signature included. */
  readonly payload: Uint8Array;
}

interface Content {
  readonly receivedAtUs: number;
  /** Base64. */
  readonly payload: string;
}

const whole = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
const checkContent = documentChecker<Content>(
  {
    type: 'object',
    required: ['receivedAtUs', 'payload'],
    additionalProperties: false,
    properties: {
      receivedAtUs: whole,
      payload: { type: 'string', maxLength: 4096 },
    },
  },
  'GRANT_INVALID',
);

export function encodeGrantFile({ receivedAtUs, payload }: SavedGrant): Buffer {
  const content = JSON.stringify({
    receivedAtUs,
    payload: Buffer.from(payload).toString('base64'),
  });
  return Buffer.from(`lenscap-grant 1 ${sha256(content)}\n${content}`);
}

/** @throws GRANT_INVALID for anything that encodeGrantFile did not make. */
export function decodeGrantFile(bytes: Buffer): SavedGrant {
  const head = HEAD.exec(bytes.toString('latin1'));
  const body = bytes.subarray(head?.[0].length ?? 0);
  if (head?.[1] !== sha256(body))
    throw new LenscapError('GRANT_INVALID', 'the saved grant is damaged');
  const content = checkContent(JSON.parse(body.toString('utf8')), 'the saved grant');
  return { ...content, payload: Buffer.from(content.payload, 'base64') };
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** The saved grant, or null when there is none. @throws GRANT_INVALID, STORE_FAILED. */
export function readGrantFile(stateDir: string): SavedGrant | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(stateDir, NAME));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw storeError('the saved grant cannot be read', error);
  }
  return decodeGrantFile(bytes);
}

/**
 * Returns when the grant is on disk. Synchronous on purpose: between the decision and its being
 * durable nothing else can happen in this process.
 * @throws STORE_FULL, STORE_FAILED; then the old file is still there, or the new one is.
 */
export function writeGrantFile(stateDir: string, saved: SavedGrant): void {
  replaceSecret(join(stateDir, NAME), encodeGrantFile(saved));
}

/** Forgets the saved grant, which needs no room on the disk. @throws STORE_FAILED. */
export function removeGrantFile(stateDir: string): void {
  removeFile(join(stateDir, NAME));
}
