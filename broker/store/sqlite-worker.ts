// The thread that owns the SQLite file, so that a slow disk never blocks the event loop of the
// broker. It answers single statements, and whole group commits, which cost one message instead of
// eight.
// INVARIANT: a group commit begins only when no transaction of the asking side is open; it runs to its
// end before the next message is read, since SQLite is synchronous here and Kysely waits for nothing.
import { dirname, join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { workerData } from 'node:worker_threads';
import { Kysely } from 'kysely';
import { type Candidate, commit, type Outcome } from './commit.ts';
import { JournalSweep } from './journal-sweep.ts';
import { Reserve } from './reserve.ts';
import type { Tables } from './schema.ts';
import { type Result, type Statement, sqliteDialect } from './sqlite-dialect.ts';
import { answer } from './thread.ts';

export type Question = Statement | { readonly group: readonly Candidate[] };
export type Reply = Result | { readonly outcomes: readonly Outcome[] };

export interface SqliteFailure {
  readonly message: string;
  /** Extended result code of SQLite; 0 when the failure is not SQLite's. */
  readonly errcode: number;
}

const BUSY_TIMEOUT_MS = 10_000;
/** FULL: a commit is on the disk when it returns; NORMAL may lose the last ones at a power cut. */
const PRAGMAS = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA foreign_keys = ON;
  PRAGMA secure_delete = ON;
  PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
`;
const MAX_PREPARED = 500;
const READS = /^\s*(select|with|pragma)/i;

function serve(path: string): void {
  const database = new DatabaseSync(path);
  database.exec(PRAGMAS);
  const sweep = new JournalSweep(database, BUSY_TIMEOUT_MS);
  const prepared = new Map<string, StatementSync>();
  const prepare = (sql: string): StatementSync => {
    const known = prepared.get(sql);
    if (known) return known;
    if (prepared.size >= MAX_PREPARED) prepared.clear();
    const statement = database.prepare(sql);
    prepared.set(sql, statement);
    return statement;
  };
  const execute = ({ sql, parameters }: Statement): Result => {
    const statement = prepare(sql);
    const isAsking = statement.columns().length > 0;
    const rows = isAsking ? statement.all(...parameters) : [];
    const changes = isAsking ? 0 : Number(statement.run(...parameters).changes);
    sweep.note(sql, rows.length + changes);
    return { rows, changes };
  };
  const index = new Kysely<Tables>({ dialect: sqliteDialect(execute) });
  const whenFree: (() => void)[] = [];
  const commitWhenFree = async (group: readonly Candidate[]): Promise<Reply> => {
    if (database.isTransaction) await new Promise<void>((free) => whenFree.push(free));
    return { outcomes: await commit(index, group) };
  };
  const reserve = new Reserve(join(dirname(path), 'reserve'));
  const makeRoom = (): void => {
    if (!reserve.look()) return;
    try {
      // So the journal is begun anew instead of growing.
      database.exec('PRAGMA wal_checkpoint(PASSIVE)');
    } catch {
      // The index itself may have to grow for it; what is asked for may do without.
    }
  };
  answer<Question, Reply, SqliteFailure>(
    (question) => {
      if ('group' in question) return commitWhenFree(question.group);
      try {
        if (!database.isTransaction && !READS.test(question.sql)) makeRoom();
        return execute(question);
      } finally {
        if (!database.isTransaction) for (const free of whenFree.splice(0)) free();
      }
    },
    toFailure,
    () => {
      prepared.clear();
      sweep.stop();
      database.close();
    },
  );
}

function toFailure(error: unknown): SqliteFailure {
  const message = error instanceof Error ? error.message : String(error);
  const hasCode = error instanceof Error && 'errcode' in error && typeof error.errcode === 'number';
  return { message, errcode: hasCode ? Number(error.errcode) : 0 };
}

const { path } = workerData as { readonly path: string };
serve(path);
