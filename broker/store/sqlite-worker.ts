// The thread that owns the SQLite file, so that a slow disk never blocks the event loop of the
// broker. Answers one statement at a time, in order.
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { workerData } from 'node:worker_threads';
import { answer } from './thread.ts';

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly SQLInputValue[];
}

export interface Result {
  readonly rows: readonly unknown[];
  readonly changes: number;
}

export interface SqliteFailure {
  readonly message: string;
  /** Extended result code of SQLite; 0 when the failure is not SQLite's. */
  readonly errcode: number;
}

/** FULL: a commit is on the disk when it returns; NORMAL may lose the last ones at a power cut. */
const PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA foreign_keys = ON;
  PRAGMA secure_delete = ON;
  PRAGMA busy_timeout = 10000;
`;
const MAX_PREPARED = 200;

function serve(path: string): void {
  const database = new DatabaseSync(path);
  database.exec(PRAGMAS);
  const prepared = new Map<string, StatementSync>();
  const prepare = (sql: string): StatementSync => {
    const known = prepared.get(sql);
    if (known) return known;
    if (prepared.size >= MAX_PREPARED) prepared.clear();
    const statement = database.prepare(sql);
    prepared.set(sql, statement);
    return statement;
  };
  answer<Statement, Result, SqliteFailure>(
    ({ sql, parameters }) => {
      const statement = prepare(sql);
      if (statement.columns().length > 0) return { rows: statement.all(...parameters), changes: 0 };
      return { rows: [], changes: Number(statement.run(...parameters).changes) };
    },
    (error) => ({
      message: error instanceof Error ? error.message : String(error),
      errcode:
        error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
          ? error.errcode
          : 0,
    }),
    () => {
      prepared.clear();
      database.close();
    },
  );
}

const { path } = workerData as { readonly path: string };
serve(path);
