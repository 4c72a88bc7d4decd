// The state of the pushed configurations as it survives a restart: one file, replaced as a whole.
// Invariant: after a crash at any moment the file is the old or the new one; every other content is
// told apart by its checksum. Layout, in text:
//   lenscap-configuration 1 <SHA-256 of all after this line, hex>\n{"highest":…,…}
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isErrorCode, LenscapError } from '../../proto/errors.ts';
import { documentChecker, type Schema } from '../../proto/validate.ts';
import { codeOf, replaceSecret, storeError } from '../durable-file.ts';
import { CONFIGURATION } from '../identity/state-files.ts';
import type { Desired } from './desired.ts';

const HEAD = /^lenscap-configuration 1 ([0-9a-f]{64})\n/;

const whole = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
const text = { type: 'string', maxLength: 4096 };
const record = (properties: Readonly<Record<string, Schema>>, ...also: readonly string[]) => ({
  type: ['object', ...also],
  required: Object.keys(properties),
  additionalProperties: false,
  properties,
});
const flag = { type: 'boolean' };
const maybe = { type: ['boolean', 'null'] };
// Whether a document fits this board and this agent is asked when it is put in force: one that does
// not any more takes nothing else of the state along.
const version = { version: whole, document: { type: 'object' } };

const checkContent = documentChecker<Desired>(
  record({
    highest: whole,
    changedAtUs: whole,
    good: record(version),
    trial: record({ ...version, isApplied: flag, isUnderWay: flag, isExcused: maybe }, 'null'),
    refusal: record(
      {
        state: { enum: ['rejected', 'reverted'] },
        version: whole,
        code: text,
        detail: text,
        faults: { type: 'array', items: record({ path: text, message: text }) },
      },
      'null',
    ),
  }),
  'CONFIG_INVALID',
);

export function encodeDesiredFile(desired: Desired): Buffer {
  const content = JSON.stringify(desired);
  return Buffer.from(`lenscap-configuration 1 ${sha256(content)}\n${content}`);
}

/** @throws CONFIG_INVALID for anything that encodeDesiredFile did not make. */
export function decodeDesiredFile(bytes: Buffer): Desired {
  const head = HEAD.exec(bytes.toString('latin1'));
  const body = bytes.subarray(head?.[0].length ?? 0);
  if (head?.[1] !== sha256(body))
    throw new LenscapError('CONFIG_INVALID', 'the saved configuration is damaged');
  const desired = checkContent(parsedBody(body), 'the saved configuration');
  if (desired.refusal !== null && !isErrorCode(desired.refusal.code))
    throw new LenscapError('CONFIG_INVALID', 'the saved configuration tells of no known error');
  return desired;
}

function parsedBody(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw new LenscapError('CONFIG_INVALID', 'the saved configuration is no JSON');
  }
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Null when there is none. @throws CONFIG_INVALID, STORE_FAILED. */
export function readDesiredFile(stateDir: string): Desired | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(join(stateDir, CONFIGURATION));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw storeError('the saved configuration cannot be read', error);
  }
  return decodeDesiredFile(bytes);
}

/** Returns when it is on disk. @throws STORE_FULL, STORE_FAILED; then the old file is still there. */
export function writeDesiredFile(stateDir: string, desired: Desired): void {
  replaceSecret(join(stateDir, CONFIGURATION), encodeDesiredFile(desired));
}
