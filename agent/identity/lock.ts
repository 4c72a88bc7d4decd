// Locks between processes that end with their holder, however that ends: SQLite's own file lock. Node
// itself has none. The files are empty and stay.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { LenscapError } from '../../proto/errors.ts';

const RETRY_MS = 50;
/** An exchange with a server that does not answer is over by then. */
const IDENTITY_WAIT_MS = 30_000;

export interface Lock {
  release(): void;
}

/** Of the one agent that runs on a state folder; null when another process holds it. */
export function tryRunLock(stateDir: string): Lock | null {
  return tryLock(join(stateDir, 'lock'));
}

/** Of the one process that changes the identity; null when another one holds it. */
export function tryIdentityLock(stateDir: string): Lock | null {
  return tryLock(join(stateDir, 'identity.lock'));
}

/**
 * Runs `work` as the only one that changes the identity, of all processes on this state folder.
 * @throws STORE_LOCKED when another one takes too long; the reason of `signal`; what `work` throws.
 */
export async function withIdentityLock<T>(
  stateDir: string,
  signal: AbortSignal,
  work: () => T | Promise<T>,
): Promise<T> {
  const endMs = performance.now() + IDENTITY_WAIT_MS;
  let lock = tryIdentityLock(stateDir);
  while (lock === null) {
    if (performance.now() > endMs)
      throw new LenscapError('STORE_LOCKED', 'another process is changing the identity');
    await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
    lock = tryIdentityLock(stateDir);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}

function tryLock(path: string): Lock | null {
  let database: DatabaseSync | undefined;
  try {
    const opened = new DatabaseSync(path);
    database = opened;
    opened.exec(
      'PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE',
    );
    return { release: () => opened.close() };
  } catch (error) {
    database?.close();
    // SQLITE_BUSY
    if (error instanceof Error && 'errcode' in error && error.errcode === 5) return null;
    throw new LenscapError('STORE_FAILED', `${path} cannot be locked`, { cause: error });
  }
}
