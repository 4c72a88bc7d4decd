// Files that survive a power cut: written, synced, renamed into place, and the folder synced.
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LenscapError } from '../../proto/errors.ts';

const FULL = ['ENOSPC', 'EDQUOT'];
const TEMPORARY = /\.[0-9a-f]{12}\.tmp$/;

/** What a failure of the file system is to whoever wanted to store something. */
export function storeFailure(errno: string, detail: string, cause?: unknown): LenscapError {
  return new LenscapError(FULL.includes(errno) ? 'STORE_FULL' : 'STORE_FAILED', detail, { cause });
}

/** The same, of what was thrown. */
export function toStoreFailure(thrown: unknown): LenscapError {
  if (thrown instanceof LenscapError) return thrown;
  const errno = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  return storeFailure(errno, thrown instanceof Error ? thrown.message : String(thrown), thrown);
}

/**
 * Writes a whole file so that after a crash either nothing or all of it is there.
 * @throws STORE_FULL, STORE_FAILED.
 */
export async function writeFileDurably(
  path: string,
  content: string | Uint8Array,
  mode = 0o600,
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await withFile(temporary, 'wx', mode, async (file) => {
      await file.writeFile(content);
      await file.sync();
    });
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    // What cannot be removed either is found by verify.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw toStoreFailure(error);
  }
}

/** Files in these folders that a crash left half written by `writeFileDurably`. */
export async function temporariesIn(folders: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders)
    for (const name of await readdir(folder).catch(() => []))
      if (TEMPORARY.test(name)) found.push(join(folder, name));
  return found.sort();
}

/** Makes the entries of a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  await withFile(path, 'r', undefined, (folder) => folder.sync());
}

/** The same, for a thread that may wait. */
export function syncFolderNow(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * The content of a secret, or undefined where it may be made: the file is not there, and nothing that
 * depends on it is either. @throws STORE_CORRUPT when it is lost, STORE_FAILED when it cannot be read.
 */
export async function readSecret(path: string, mayMake: boolean): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!isAbsent)
      throw new LenscapError('STORE_FAILED', `${path} cannot be read`, { cause: error });
    if (mayMake) return undefined;
    throw new LenscapError('STORE_CORRUPT', `${path} is lost; restore it from a backup`);
  }
}

/** A folder for secrets: mode 0700. @throws STORE_FULL, STORE_FAILED. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw toStoreFailure(error);
  });
}

async function withFile(
  path: string,
  flags: string,
  mode: number | undefined,
  use: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await open(path, flags, mode);
  try {
    await use(file);
  } finally {
    await file.close();
  }
}
