// Files of the spool's folder as the system sees them. INVARIANT: under its name a file is whole and
// on disk, or not there.
import { close, closeSync, fsyncSync, openSync, unlinkSync } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { LenscapError } from '../../proto/errors.ts';
import { codeOf, storeError } from '../durable-file.ts';
import { freshNameOf, READ_FLAGS } from './contents.ts';

const MODE = 0o600;
/** The first ones make their room before the return: a full disk needs some to save fewer keys. */
const FREED_AT_ONCE = 2;
/** Files held open at once, of those that are being unlinked. */
const MAX_OPEN = 4096;

/**
 * Writes a file under another name, syncs and renames it. `mayGoOn` is asked before each piece and
 * before the rename; returns whether it let it be finished.
 * @throws what the system says; what was written of it is gone, unless only the last sync failed.
 */
export async function writeRecordFile(
  folder: string,
  name: string,
  pieces: Iterable<Uint8Array>,
  mayGoOn: () => boolean,
): Promise<boolean> {
  const fresh = join(folder, freshNameOf(name));
  try {
    await using(await open(fresh, 'w', MODE), async (file) => {
      await file.writeFile(whileAllowed(pieces, mayGoOn));
      await file.datasync();
    });
    if (mayGoOn()) await rename(fresh, join(folder, name));
    else {
      await unlink(fresh);
      return false;
    }
  } catch (error) {
    // A leftover counts for nothing and is cleaned up at the next start.
    await unlink(fresh).catch(() => undefined);
    throw error;
  }
  await using(await open(folder, 'r'), (file) => file.sync());
  return true;
}

/** Asks before each piece is made, since making it may take a key that was destroyed. */
function* whileAllowed<Piece>(pieces: Iterable<Piece>, mayGoOn: () => boolean): Generator<Piece> {
  const source = pieces[Symbol.iterator]();
  while (mayGoOn()) {
    const { done, value } = source.next();
    if (done === true) return;
    yield value;
  }
}

/** @throws STORE_CORRUPT when it is gone or no regular file, STORE_FAILED. */
export async function readRecordFile(folder: string, name: string): Promise<Buffer> {
  try {
    return await using(await open(join(folder, name), READ_FLAGS), async (file) => {
      if ((await file.stat()).isFile()) return file.readFile();
      throw new LenscapError('STORE_CORRUPT', `${name} is no regular file`);
    });
  } catch (error) {
    if (error instanceof LenscapError) throw error;
    if (codeOf(error) === 'ENOENT') throw gone(name);
    throw storeError(`${name} cannot be read`, error);
  }
}

export function gone(name: string): LenscapError {
  return new LenscapError('STORE_CORRUPT', `${name} is not there any more`);
}

async function using<Result>(
  file: FileHandle,
  work: (file: FileHandle) => Promise<Result>,
): Promise<Result> {
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** Nothing there is fine. @throws STORE_FAILED. */
export function unlinkFile(folder: string, name: string): void {
  try {
    unlinkSync(join(folder, name));
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw storeError(`${name} cannot be removed`, error);
  }
}

/**
 * Unlinks many files in the time of a few: what they took is given back to the disk after the return,
 * by other threads. `unlinked` and `failed` are called for each in turn. Resolves when all is given back.
 */
export function unlinkFiles(
  folder: string,
  names: readonly string[],
  unlinked: (name: string) => void,
  failed: (name: string, error: unknown) => void,
): Promise<unknown> {
  // The blocks of a file that is open are freed when it is closed; with a megabyte each, freeing is
  // nearly all of the work (0.4 ms on ext4 with `discard`, and 0.01 ms for the rest).
  const open: number[] = [];
  for (const [index, name] of names.entries())
    try {
      if (index >= FREED_AT_ONCE && open.length < MAX_OPEN) hold(join(folder, name), open);
      unlinkFile(folder, name);
      unlinked(name);
    } catch (error) {
      failed(name, error);
    }
  // Whatever closing says, the name is gone and the number is free.
  return Promise.all(open.map((fd) => new Promise<void>((resolve) => close(fd, () => resolve()))));
}

function hold(path: string, open: number[]): void {
  try {
    open.push(openSync(path, READ_FLAGS));
  } catch {
    // Without it unlinking takes longer.
  }
}

/** What was unlinked stays so after a power cut. @throws STORE_FAILED. */
export function syncFolder(folder: string): void {
  try {
    const fd = openSync(folder, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw storeError(`${folder} cannot be synced`, error);
  }
}
