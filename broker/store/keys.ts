// The root key and the account keys. Account keys lie wrapped by the root key, each in its own file,
// so that unlinking that file makes everything of the account unreadable, backups included.
import { hkdfSync, randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { LenscapError } from '../../proto/errors.ts';
import { makeFolder, readSecret, syncFolder, writeFileDurably } from './durable.ts';
import { seal, unseal } from './seal.ts';

const KEY_BYTES = 32;

export class Keys {
  readonly #root: Buffer;
  readonly #folder: string;
  readonly #accounts = new Map<string, Promise<Buffer>>();

  private constructor(root: Buffer, folder: string) {
    this.#root = root;
    this.#folder = folder;
  }

  /** Opens `keys/` of the data folder; makes the root key in a new installation. */
  static async open(folder: string, isNew: boolean): Promise<Keys> {
    const accounts = join(folder, 'accounts');
    await makeFolder(accounts);
    const path = join(folder, 'root.key');
    const root = await readSecret(path, isNew);
    if (root?.byteLength === KEY_BYTES) return new Keys(root, accounts);
    if (root) throw new LenscapError('STORE_CORRUPT', `${path} is no key of 32 bytes; restore it`);
    const made = randomBytes(KEY_BYTES);
    await writeFileDurably(path, made);
    return new Keys(made, accounts);
  }

  /** A key for a purpose other than an account's data, e.g. signing addresses to play. */
  derive(purpose: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#root, '', `lenscap ${purpose}`, KEY_BYTES));
  }

  async makeAccount(accountId: string): Promise<void> {
    const key = randomBytes(KEY_BYTES);
    const wrapped = Buffer.concat(seal(this.#root, ['account-key', accountId], key));
    await writeFileDurably(join(this.#folder, accountId), wrapped);
  }

  /**
   * Read once; whoever asks meanwhile gets the same answer, in the order of asking.
   * @throws STORE_CORRUPT when the key is gone or damaged.
   */
  account(accountId: string): Promise<Buffer> {
    const known = this.#accounts.get(accountId);
    if (known !== undefined) return known;
    const reading = this.#read(accountId);
    this.#accounts.set(accountId, reading);
    reading.catch(() => this.#accounts.delete(accountId));
    return reading;
  }

  async #read(accountId: string): Promise<Buffer> {
    const wrapped = await readSecret(join(this.#folder, accountId), false);
    if (!wrapped) throw new LenscapError('BUG', 'a lost key was not noticed');
    return unseal(this.#root, ['account-key', accountId], wrapped);
  }

  async destroyAccount(accountId: string): Promise<void> {
    this.#accounts.delete(accountId);
    await rm(join(this.#folder, accountId), { force: true });
    await syncFolder(this.#folder);
  }
}
