// The thread that writes objects: a group of files, each made exclusively, written and synced, then
// their folder. All of the group is on disk when it answers, or none of it is there.
import { closeSync, fdatasync, mkdirSync, openSync, rmSync, writevSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { syncFolderNow } from './durable.ts';
import { answer } from './thread.ts';

export interface ObjectGroup {
  readonly folder: string;
  readonly objects: readonly { readonly name: string; readonly pieces: readonly Uint8Array[] }[];
}

export interface WriteFailure {
  readonly message: string;
  /** Like ENOSPC; empty when there is none. */
  readonly errno: string;
}

const syncData = promisify(fdatasync);

/** Calls of the file system are synchronous here: this thread has nothing else to do. */
function writeObject(path: string, pieces: readonly Uint8Array[]): number {
  const fd = openSync(path, 'wx', 0o600);
  const total = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  try {
    if (writevSync(fd, pieces) === total) return fd;
    throw Object.assign(new Error('a write came up short'), { code: 'ENOSPC' });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Gives the memory back at once; the collector of this thread would see no need to. */
function free(objects: ObjectGroup['objects']): void {
  for (const { buffer } of objects.flatMap(({ pieces }) => pieces))
    if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

const known = new Set<string>();

function makeFolder(folder: string): void {
  if (known.has(folder)) return;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  syncFolderNow(dirname(folder));
  known.add(folder);
}

/** What a failing disk does not let go of is named by no row, and the next start removes it. */
function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Why the group failed is said; this would hide it.
  }
}

async function writeGroup({ folder, objects }: ObjectGroup): Promise<void> {
  const open: number[] = [];
  try {
    makeFolder(folder);
    for (const { name, pieces } of objects) open.push(writeObject(join(folder, name), pieces));
    free(objects);
    // Together, so that a disk with slow syncs does them at once.
    await Promise.all(open.map((fd) => syncData(fd)));
    syncFolderNow(folder);
  } catch (error) {
    for (const { name } of objects) removeQuietly(join(folder, name));
    throw error;
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

answer<ObjectGroup, void, WriteFailure>(
  writeGroup,
  (error) => ({
    message: error instanceof Error ? error.message : String(error),
    errno: error instanceof Error && 'code' in error ? String(error.code) : '',
  }),
  () => undefined,
);
