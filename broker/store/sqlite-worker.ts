// The thread that owns the SQLite file, so that a slow disk never blocks the event loop of the
// broker. Answers one statement at a time, in order.
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

export interface Statement {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly SQLInputValue[];
}

export type Answer =
  | {
      readonly id: number;
      readonly rows: readonly unknown[];
      readonly changes: number;
      readonly error?: never;
    }
  | { readonly id: number; readonly error: { readonly message: string; readonly errcode: number } };

/** FULL: a commit is on the disk when it returns; NORMAL may lose the last ones at a power cut. */
const PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA foreign_keys = ON;
  PRAGMA secure_delete = ON;
  PRAGMA busy_timeout = 10000;
`;

function answer(database: DatabaseSync, { id, sql, parameters }: Statement): Answer {
  try {
    const statement = prepared(database, sql);
    if (statement.columns().length > 0)
      return { id, rows: statement.all(...parameters), changes: 0 };
    return { id, rows: [], changes: Number(statement.run(...parameters).changes) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const errcode =
      error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
        ? error.errcode
        : 0;
    return { id, error: { message, errcode } };
  }
}

const MAX_PREPARED = 200;
const cache = new Map<string, ReturnType<DatabaseSync['prepare']>>();

function prepared(database: DatabaseSync, sql: string): ReturnType<DatabaseSync['prepare']> {
  const known = cache.get(sql);
  if (known) return known;
  if (cache.size >= MAX_PREPARED) cache.clear();
  const statement = database.prepare(sql);
  cache.set(sql, statement);
  return statement;
}

function serve(path: string): void {
  const database = new DatabaseSync(path);
  database.exec(PRAGMAS);
  parentPort?.on('message', (message: Statement | 'close') => {
    if (message !== 'close') {
      parentPort?.postMessage(answer(database, message));
      return;
    }
    cache.clear();
    database.close();
    parentPort?.close();
  });
}

const { path } = workerData as { readonly path: string };
serve(path);
