// The keys of the spool in one small file: one random key for each set of scopes. INVARIANT: a key is
// on disk before anything is sealed with it, and destroying it makes all of that set unreadable.
// A file that is there without a key says that the key was destroyed; a missing one that it was lost.
import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import { isScope, SCOPES, type Scope } from '../../proto/scopes.ts';
import { codeOf, removeFile, replaceSecret, storeError } from '../durable-file.ts';
import type { SpoolKey } from './record.ts';

export const KEY_FILE = 'key';
const VERSION = 1;
const SECRET_BYTES = 32;

/** The content of a key file: keys by the name of their set of scopes. */
export interface KeyFile {
  readonly deviceId: string;
  readonly keys: ReadonlyMap<string, SpoolKey>;
}

/** Name of a set of scopes, e.g. `video,audio`. */
export function setOf(scopes: readonly Scope[]): string {
  return SCOPES.filter((scope) => scopes.includes(scope)).join(',');
}

/** A key from its bytes; its number is derived, so that the two cannot disagree. */
export function keyFrom(secret: Uint8Array): SpoolKey {
  const digest = createHash('sha256').update('lenscap spool key\n').update(secret).digest();
  return { id: digest.readUInt32BE(0), secret: createSecretKey(secret) };
}

export function encodeKeyFile({ deviceId, keys }: KeyFile): string {
  const secrets = [...keys].map(([set, { secret }]) => [set, secret.export().toString('base64')]);
  const content = { version: VERSION, deviceId, keys: Object.fromEntries(secrets) };
  return `${JSON.stringify({ ...content, check: checkOf(content) })}\n`;
}

/** @throws STORE_FAILED when it is of another version, STORE_CORRUPT when it is damaged. */
export function decodeKeyFile(text: string): KeyFile {
  const { check, ...content } = fieldsOf(text);
  const { version } = content;
  const isWhole = check === checkOf(content);
  // The file of an unknown version may have no check; one that is there and wrong tells of damage.
  if (typeof version === 'number' && version !== VERSION && (isWhole || check === undefined))
    throw new LenscapError(
      'STORE_FAILED',
      `a spool of version ${version}; this agent reads ${VERSION}; empty it with the agent that wrote it, or reset the board`,
    );
  const { deviceId } = content;
  if (!isWhole || typeof deviceId !== 'string') throw damaged();
  return { deviceId, keys: new Map(keysOf(content.keys)) };
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  } catch {
    return {};
  }
}

function keysOf(value: unknown): [string, SpoolKey][] {
  if (typeof value !== 'object' || value === null) throw damaged();
  return Object.entries(value).map(([set, base64]) => {
    const secret = Buffer.from(String(base64), 'base64');
    const scopes = set.split(',').filter(isScope);
    if (setOf(scopes) !== set || secret.byteLength !== SECRET_BYTES) throw damaged();
    return [set, keyFrom(secret)];
  });
}

function checkOf(content: object): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

function damaged(): LenscapError {
  return new LenscapError('STORE_CORRUPT', 'the keys of the spool are damaged');
}

/** The key file of a folder, or null when there is none. @throws STORE_FAILED, STORE_CORRUPT. */
export function readKeyFile(folder: string): KeyFile | null {
  let text: string;
  try {
    text = readFileSync(join(folder, KEY_FILE), 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw storeError('the keys of the spool cannot be read', error);
  }
  return decodeKeyFile(text);
}

/** The keys while the agent runs, with how many records need each of them. */
export class Keyring {
  readonly #path: string;
  readonly #deviceId: string;
  #keys: Map<string, SpoolKey>;
  readonly #uses = new Map<string, number>();
  /** Whether the file is known to hold the keys; after a failed save it may hold others. */
  #isSaved = true;

  constructor(folder: string, deviceId: string, keys: ReadonlyMap<string, SpoolKey>) {
    this.#path = join(folder, KEY_FILE);
    this.#deviceId = deviceId;
    this.#keys = new Map(keys);
  }

  /** The key of a set, made and saved when there is none. @throws STORE_FULL, STORE_FAILED. */
  obtain(set: string): SpoolKey {
    const saved = this.#isSaved ? this.#keys.get(set) : undefined;
    if (saved !== undefined) return saved;
    // Where destroying one has failed, the next save does it.
    const needed = this.#needed();
    const key = needed.get(set) ?? keyFrom(randomBytes(SECRET_BYTES));
    this.#save(needed.set(set, key));
    return key;
  }

  byId(id: number): SpoolKey | undefined {
    for (const key of this.#keys.values()) if (key.id === id) return key;
    return undefined;
  }

  /** One record more, or fewer, needs the key of a set. */
  count(set: string, change: 1 | -1): void {
    this.#uses.set(set, (this.#uses.get(set) ?? 0) + change);
  }

  /**
   * Destroys every key that no record needs, also on a disk without room when none is needed.
   * @throws STORE_FULL, STORE_FAILED; then it has to be called again.
   */
  destroyUnused(): void {
    const needed = this.#needed();
    if (needed.size === this.#keys.size) return;
    try {
      this.#save(needed);
    } catch (error) {
      if (needed.size > 0 || toLenscapError(error).code !== 'STORE_FULL') throw error;
      removeFile(this.#path);
      this.#keys = needed;
    }
  }

  #needed(): Map<string, SpoolKey> {
    return new Map([...this.#keys].filter(([set]) => (this.#uses.get(set) ?? 0) > 0));
  }

  #save(keys: Map<string, SpoolKey>): void {
    this.#isSaved = false;
    replaceSecret(this.#path, encodeKeyFile({ deviceId: this.#deviceId, keys }));
    this.#isSaved = true;
    this.#keys = keys;
  }
}
