// Small secret files that survive a loss of power. INVARIANT: a file is there as a whole or not at
// all, old or new; when a call returns, its effect is on disk. All calls are synchronous: nothing else
// happens in the process in between.
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { LenscapError } from '../proto/errors.ts';

/** Where the content is made ready; a leftover of a crash is worth nothing. */
const fresh = (path: string) => `${path}.new`;

/** Text of a regular file that only this user can read; null when there is none. */
export function readSecret(path: string): string | null {
  let fd: number;
  try {
    // Never waits for the other end of a pipe.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    const why = error instanceof Error ? error.message : String(error);
    throw new LenscapError('IDENTITY_INVALID', `${path} cannot be read: ${why}`, { cause: error });
  }
  // Mode and content are of the same open file, so that it cannot be swapped in between.
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile())
      throw new LenscapError('IDENTITY_INVALID', `${path} has to be a regular file`);
    const fault = exposure(stat, process.geteuid?.() ?? stat.uid);
    if (fault !== null)
      throw new LenscapError(
        'IDENTITY_INVALID',
        `${path} can be read by others, since ${fault} ${path}`,
      );
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/** Why others than `userId` can read a file, with the remedy; null when they cannot. Pure. */
export function exposure(
  { mode, uid }: { readonly mode: number; readonly uid: number },
  userId: number,
): string | null {
  if ((mode & 0o077) !== 0) return `its mode is ${(mode & 0o777).toString(8)}; run: chmod 600`;
  return uid === userId ? null : `it belongs to user ${uid}; run: chown ${userId}`;
}

/** Mode 0600. @throws STORE_FULL, STORE_FAILED; then the file is as it was. */
export function replaceSecret(path: string, content: string | Uint8Array): void {
  saving(path, () => {
    writeFresh(path, content);
    renameSync(fresh(path), path);
    syncFolderOf(path);
  });
}

/** The same, where no file may be lost. @throws IDENTITY_EXISTS when there is one. */
export function createSecret(path: string, content: string): void {
  saving(path, () => {
    writeFresh(path, content);
    linkSync(fresh(path), path);
    unlinkSync(fresh(path));
    syncFolderOf(path);
  });
}

/** Needs no room on the disk. Nothing there is fine. @throws STORE_FAILED. */
export function removeFile(path: string): void {
  try {
    unlinkIfThere(path);
    syncFolderOf(path);
  } catch (error) {
    throw storeError(`${path} cannot be removed`, error);
  }
}

/** Makes an empty file, whose being there says it all. @throws STORE_FULL, STORE_FAILED. */
export function makeMark(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o600));
    syncFolderOf(path);
  } catch (error) {
    throw storeError(`${path} cannot be made`, error);
  }
}

/** Removes what a crash left of a file that was being written. @throws STORE_FAILED. */
export function cleanAfter(path: string): void {
  removeFile(fresh(path));
}

function writeFresh(path: string, content: string | Uint8Array): void {
  unlinkIfThere(fresh(path));
  const fd = openSync(fresh(path), 'wx', 0o600);
  try {
    writeFileSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** Where the disk does not even take that, why nothing was saved is what counts. */
function dropFresh(path: string): void {
  try {
    unlinkIfThere(fresh(path));
  } catch {
    // It is cleaned up at the next start.
  }
}

function saving(path: string, save: () => void): void {
  try {
    save();
  } catch (error) {
    dropFresh(path);
    if (codeOf(error) === 'EEXIST')
      throw new LenscapError('IDENTITY_EXISTS', `${path} is there already`, { cause: error });
    throw storeError(`${path} cannot be saved`, error);
  }
}

function syncFolderOf(path: string): void {
  const fd = openSync(dirname(path), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** What went wrong with the disk, by its code. */
export function storeError(what: string, error: unknown): LenscapError {
  const code = codeOf(error);
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  const why = error instanceof Error ? error.message : String(error);
  return new LenscapError(isFull ? 'STORE_FULL' : 'STORE_FAILED', `${what}: ${why}`, {
    cause: error,
  });
}

/** The code of an error of the file system, e.g. `ENOENT`. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
