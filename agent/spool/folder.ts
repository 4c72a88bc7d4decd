// The folder of the spool as a whole: where it is, whose it is, and the end of it.
import { readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';
import { codeOf, removeFile, storeError } from '../durable-file.ts';
import { KEY_FILE, type KeyFile, readKeyFile } from './keys.ts';
import { syncFolder, unlinkFile } from './record-file.ts';

const FOLDER = 'spool';

/**
 * The keys that are there for this device; null when they are lost.
 * @throws STORE_FAILED when the spool is of another version or cannot be read.
 */
export function keysOf(folder: string, deviceId: string, log: Logger): KeyFile | null {
  const keys = keysOrNull(folder, log);
  if (keys === null || keys.deviceId === deviceId) return keys;
  log.warn({ code: 'STORE_CORRUPT' }, 'the spool is of another device: it is erased');
  eraseFolder(folder);
  return null;
}

function keysOrNull(folder: string, log: Logger): KeyFile | null {
  try {
    return readKeyFile(folder);
  } catch (error) {
    const { code, message } = toLenscapError(error);
    if (code !== 'STORE_CORRUPT') throw error;
    log.error({ code }, message);
    return null;
  }
}

/** Erases the spool of a state folder, whoever wrote it. @throws STORE_FAILED. */
export function eraseSpool(stateDir: string): void {
  eraseFolder(spoolFolder(stateDir));
  try {
    rmdirSync(spoolFolder(stateDir));
    syncFolder(stateDir);
  } catch {
    // Not there, or a file system of its own; an empty folder tells nothing.
  }
}

/** Where in the state folder the spool lies. */
export function spoolFolder(stateDir: string): string {
  return join(stateDir, FOLDER);
}

function eraseFolder(folder: string): void {
  let names: string[];
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    // A folder in it is not ours (lost+found).
    names = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw storeError(`${folder} cannot be read`, error);
  }
  // Without its key nothing can be read, so it goes first.
  if (names.includes(KEY_FILE)) removeFile(join(folder, KEY_FILE));
  for (const name of names) unlinkFile(folder, name);
  syncFolder(folder);
}
