// Small notes that are written often. INVARIANT: a note is overwritten in place and always as long, so
// that a write costs the flash one block; after a loss of power it may be older, or damaged.
import { closeSync, constants, fdatasyncSync, openSync, writeSync } from 'node:fs';

/** Mode 0600; `isSynced`: on flash on return. @throws Error of the file system. */
export function overwriteNote(path: string, text: string, bytes: number, isSynced = false): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o600);
  try {
    writeSync(fd, Buffer.from(text.padEnd(bytes)), 0, bytes, 0);
    if (isSynced) fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
