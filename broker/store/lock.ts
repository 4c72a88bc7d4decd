// A lock between processes that ends with its holder, however that ends: SQLite's own file lock.
import { DatabaseSync } from 'node:sqlite';
import { LenscapError } from '../../proto/errors.ts';

export interface Lock {
  release(): void;
}

/**
 * Nothing is written for it, so it can be had on a full disk.
 * @throws STORE_LOCKED when another process holds it for longer than `waitMs`.
 */
export function takeLock(path: string, waitMs: number): Lock {
  const database = new DatabaseSync(path);
  try {
    database.exec(`PRAGMA busy_timeout = ${waitMs}; PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE`);
  } catch (error) {
    database.close();
    const detail = `${path} is held by another process; end that one first`;
    throw new LenscapError('STORE_LOCKED', detail, { cause: error });
  }
  return { release: () => database.close() };
}
