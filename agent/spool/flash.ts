// Records on flash, one sealed file each. INVARIANTS: a record whose write has resolved is read back
// after any crash; after a failed or cancelled write nothing of it counts; what was erased is never
// read again, since its key goes first, or its file where others still need the key.
import { mkdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Logger } from 'pino';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';
import type { Scope } from '../../proto/scopes.ts';
import { storeError } from '../durable-file.ts';
import { blocksOf, lookAt, nameOf, namesIn } from './contents.ts';
import { keysOf } from './folder.ts';
import { Inventory, type Pending } from './inventory.ts';
import { type KeyFile, Keyring, setOf } from './keys.ts';
import {
  decodeHeader,
  fileBytesOf,
  mediaBytesOf,
  type NewRecord,
  openHead,
  openMedia,
  type RecordId,
  sealed,
} from './record.ts';
import { gone, readRecordFile, syncFolder, unlinkFiles, writeRecordFile } from './record-file.ts';

export { eraseSpool, spoolFolder } from './folder.ts';
export type { NewRecord, RecordId, RecordKind } from './record.ts';

export interface Found extends RecordId {
  /** Opened. */
  readonly head: Uint8Array;
  readonly scopes: readonly Scope[];
  /** On flash, in whole blocks. */
  readonly bytes: number;
  readonly writtenAtMs: number;
}

export interface OpenedFlash {
  readonly flash: Flash;
  /** In order. */
  readonly found: readonly Found[];
  /** Records that cannot be read, in order; they stay on flash until they are removed or erased. */
  readonly damaged: readonly RecordId[];
  /** Why flash cannot be used; then every write fails with it. */
  readonly fault: LenscapError | null;
}

export class Flash {
  readonly #folder: string;
  readonly #deviceId: string;
  readonly #log: Logger;
  readonly #fault: LenscapError | null;
  readonly #keys: Keyring;
  readonly #inventory: Inventory;
  #lastWrite: Promise<unknown> = Promise.resolve();
  /** Resolves when the disk has got back what was unlinked so far. */
  #released: Promise<unknown> = Promise.resolve();

  private constructor(
    folder: string,
    deviceId: string,
    log: Logger,
    keys: KeyFile | null,
    fault: LenscapError | null,
  ) {
    this.#folder = folder;
    this.#deviceId = deviceId;
    this.#log = log;
    this.#fault = fault;
    this.#keys = new Keyring(folder, deviceId, keys?.keys ?? new Map());
    this.#inventory = new Inventory(this.#keys);
  }

  /**
   * Reads what an earlier run left, by opening each head, and finishes what a crash interrupted.
   * Never throws: `fault` says why flash cannot be used.
   */
  static open(folder: string, deviceId: string, log: Logger): OpenedFlash {
    try {
      const made = mkdirSync(folder, { recursive: true, mode: 0o700 });
      if (made !== undefined) syncFolder(dirname(made));
      const keys = keysOf(folder, deviceId, log);
      const flash = new Flash(folder, deviceId, log, keys, null);
      return { flash, ...flash.#readAll(keys === null), fault: null };
    } catch (error) {
      const fault = asStoreError(`${folder} cannot be used`, error);
      const flash = new Flash(folder, deviceId, log, null, fault);
      return { flash, found: [], damaged: [], fault };
    }
  }

  /** Bytes on flash of a record. */
  static bytesOf({ head, media }: Pick<NewRecord, 'head' | 'media'>): number {
    return blocksOf(fileBytesOf(head.byteLength, mediaBytesOf(media)));
  }

  /**
   * Durable when it resolves; replaces one with the same id atomically. Writes go one after another.
   * Returns its bytes on flash, 0 when it was removed or erased meanwhile.
   * @throws STORE_FULL, STORE_FAILED; then a new record is not there, and a replaced one is as it was
   * or, where only the last sync failed, as it was to be.
   */
  write(record: NewRecord): Promise<number> {
    if (this.#fault !== null) return Promise.reject(this.#fault);
    const fileBytes = fileBytesOf(record.head.byteLength, mediaBytesOf(record.media));
    const pending = this.#inventory.begin(nameOf(record), setOf(record.scopes), fileBytes);
    const written = this.#lastWrite.then(() => this.#save(pending, record));
    this.#lastWrite = written.catch(() => undefined);
    return written;
  }

  /** @throws STORE_CORRUPT when it is damaged or gone, STORE_FAILED when it cannot be read now. */
  async read(id: RecordId): Promise<{ head: Uint8Array; media: Buffer }> {
    const name = nameOf(id);
    if (this.#inventory.held(name) === undefined) throw gone(name);
    const bytes = await readRecordFile(this.#folder, name);
    const header = decodeHeader(bytes);
    const key = this.#keys.byId(header.keyId);
    if (header.number !== id.number || header.kind !== id.kind || key === undefined)
      throw new LenscapError('STORE_CORRUPT', `${name} is not what its name says`);
    const head = openHead(bytes, this.#deviceId, key);
    const opening = openMedia(bytes, this.#deviceId, key);
    for (;;) {
      // Erased meanwhile: nothing of it goes out any more.
      if (this.#inventory.held(name) === undefined) throw gone(name);
      const step = opening.next();
      if (step.done) return { head, media: step.value };
      await setImmediate();
    }
  }

  /**
   * Unlinks, and destroys a key that nothing needs any more. Unlinking is not synced: what reappears
   * after a power cut was acknowledged. Never throws.
   */
  remove(...ids: readonly RecordId[]): void {
    if (this.#fault !== null || ids.length === 0) return;
    const names = ids.map(nameOf);
    this.#inventory.forget(names);
    this.#tell(this.#unlink(names) ?? this.#destroyKeys());
  }

  /**
   * Erases for good: keys that nothing else needs, then the files. A write under way does not bring
   * anything back.
   * @throws STORE_FAILED when it could not be done; what is left is tried again with the next call.
   */
  erase(ids: readonly RecordId[]): void {
    if (this.#fault !== null) return;
    this.#inventory.forget(ids.map(nameOf));
    const keyFault = this.#destroyKeys();
    const fileFault = this.#unlink(this.#inventory.strays);
    // Unlinking has made the room that a file with fewer keys may have wanted.
    const fault = (keyFault === null ? null : this.#destroyKeys()) ?? fileFault;
    if (fault !== null) throw new LenscapError('STORE_FAILED', fault.detail, { cause: fault });
    syncFolder(this.#folder);
  }

  /** Of all records, those being written included; the file of keys and the folder come on top. */
  usedBytes(): number {
    return this.#inventory.usedBytes;
  }

  /** Of the file system, after all that was removed has made its room. @throws STORE_FAILED. */
  async room(): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
    // What the disk did not let go of while it failed.
    this.#tell(this.#unlink(this.#inventory.strays));
    await this.#released;
    try {
      const { bavail, blocks, bsize } = await statfs(this.#folder);
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
    } catch (error) {
      throw storeError(`the room of ${this.#folder} is not known`, error);
    }
  }

  #readAll(areKeysLost: boolean): Pick<OpenedFlash, 'found' | 'damaged'> {
    const found: Found[] = [];
    const damaged: RecordId[] = [];
    const { records, leftovers } = namesIn(this.#folder);
    for (const name of leftovers) this.#inventory.stray(name, 0);
    const opener = { deviceId: this.#deviceId, byId: (id: number) => this.#keys.byId(id) };
    for (const id of records) {
      const look = lookAt(this.#folder, id, opener);
      const name = nameOf(id);
      if (look.is === 'gone') continue;
      const { fileBytes } = look;
      const bytes = blocksOf(fileBytes);
      if (look.is === 'whole') {
        const { scopes } = look.header;
        this.#inventory.hold(name, { fileBytes, set: setOf(scopes) });
        found.push({ ...id, head: look.head, scopes, bytes, writtenAtMs: look.writtenAtMs });
      } else if (look.is === 'damaged' || areKeysLost) {
        this.#inventory.hold(name, { fileBytes, set: null });
        damaged.push(id);
      } else this.#inventory.stray(name, bytes);
    }
    this.#tell(this.#unlink(this.#inventory.strays) ?? this.#destroyKeys());
    return { found, damaged };
  }

  async #save(pending: Pending, record: NewRecord): Promise<number> {
    const { name, set, fileBytes } = pending;
    try {
      if (pending.isCancelled) return 0;
      const key = this.#keys.obtain(set);
      this.#inventory.useKey(pending);
      const pieces = sealed(record, this.#deviceId, key);
      await writeRecordFile(this.#folder, name, pieces, () => !pending.isCancelled);
      if (pending.isCancelled) return 0;
      this.#inventory.hold(name, { fileBytes, set });
      return blocksOf(fileBytes);
    } catch (error) {
      if (pending.isCancelled) return 0;
      throw asStoreError(`${name} cannot be saved`, error);
    } finally {
      this.#inventory.end(pending);
      // It may have got its name before it was cancelled, or before its last sync failed.
      if (this.#inventory.held(name) === undefined) this.#tell(this.#unlink([name]));
    }
  }

  /** Returns the first fault; what could not be unlinked stays known. */
  #unlink(names: readonly string[]): LenscapError | null {
    let fault: LenscapError | null = null;
    const unlinked = (name: string) => this.#inventory.unlinked(name);
    const released = unlinkFiles(this.#folder, names, unlinked, (name, error) => {
      this.#inventory.stray(name, 0);
      fault ??= toLenscapError(error);
    });
    this.#released = Promise.all([this.#released, released]);
    return fault;
  }

  #destroyKeys(): LenscapError | null {
    try {
      this.#keys.destroyUnused();
      return null;
    } catch (error) {
      return toLenscapError(error, 'STORE_FAILED');
    }
  }

  #tell(fault: LenscapError | null): void {
    if (fault !== null)
      this.#log.warn(
        { code: fault.code },
        `the spool is not as tidy as it should be: ${fault.detail}`,
      );
  }
}

function asStoreError(what: string, error: unknown): LenscapError {
  return error instanceof LenscapError ? error : storeError(what, error);
}
