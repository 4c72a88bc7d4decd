// The index as a SQLite file in a thread of its own.
import { Kysely } from 'kysely';
import { LenscapError } from '../../proto/errors.ts';
import type { Candidate, Outcome } from './commit.ts';
import type { Index, Tables } from './schema.ts';
import { type Result, sqliteDialect } from './sqlite-dialect.ts';
import type { Question, Reply, SqliteFailure } from './sqlite-worker.ts';
import { Thread } from './thread.ts';

const SQLITE_FULL = 13;

export interface SqliteIndex {
  readonly index: Index;
  /** `commit` of commit.ts, run where the file is. */
  commit(group: readonly Candidate[]): Promise<readonly Outcome[]>;
  /** Rejects when nothing can be read or written any more. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** Opens the file at `path`, made if absent. */
export async function openSqliteIndex(path: string): Promise<SqliteIndex> {
  const url = new URL('./sqlite-worker.ts', import.meta.url);
  const thread = await Thread.start<Question, Reply, SqliteFailure>(url, { path }, toError);
  const execute = async (question: Question): Promise<Result> => {
    const reply = await thread.ask(question);
    if ('outcomes' in reply) throw new LenscapError('BUG', 'a statement got outcomes');
    return reply;
  };
  return {
    index: new Kysely<Tables>({ dialect: sqliteDialect(execute) }),
    commit: async (group) => {
      const reply = await thread.ask({ group });
      if (!('outcomes' in reply)) throw new LenscapError('BUG', 'a group got no outcomes');
      return reply.outcomes;
    },
    failed: thread.failed,
    close: () => thread.close(),
  };
}

function toError({ message, errcode }: SqliteFailure): LenscapError {
  const isFull = (errcode & 0xff) === SQLITE_FULL;
  return new LenscapError(isFull ? 'STORE_FULL' : 'STORE_FAILED', `the index: ${message}`);
}
