// The index as a SQLite file in a thread of its own.
import { Kysely } from 'kysely';
import { LenscapError } from '../../proto/errors.ts';
import type { Candidate, Outcome } from './commit.ts';
import type { Index, Tables } from './schema.ts';
import { type Result, sqliteDialect } from './sqlite-dialect.ts';
import type { Question, Reply, SqliteFailure } from './sqlite-worker.ts';
import { Thread } from './thread.ts';

/** By the primary result code of SQLite; what is not here is STORE_FAILED. */
const CODES: Readonly<Record<number, 'STORE_FULL' | 'STORE_LOCKED'>> = {
  5: 'STORE_LOCKED',
  6: 'STORE_LOCKED',
  13: 'STORE_FULL',
};
/** Out of memory, read-only, I/O error, cannot be opened: the disk's trouble, not the file's. */
const OUTSIDE = new Set([7, 8, 10, 14]);

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

function toError(failure: SqliteFailure): LenscapError {
  const code = CODES[failure.errcode & 0xff] ?? 'STORE_FAILED';
  return new LenscapError(code, `the index: ${failure.message}`, { cause: failure });
}

/** What it means that a file could not be opened: it is damaged, or something else is in the way. */
export function openFailure(path: string, thrown: unknown): LenscapError {
  const primary = errcodeOf(thrown) & 0xff;
  if (OUTSIDE.has(primary) || primary in CODES) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return thrown instanceof LenscapError ? thrown : toError({ message: why, errcode: primary });
  }
  const detail = `${path} cannot be opened; restore it from a backup`;
  return new LenscapError('STORE_CORRUPT', detail, { cause: thrown });
}

/** Of an answer, or of the thread when it ended at once; 0 when it is not SQLite's. */
function errcodeOf(thrown: unknown): number {
  const from = thrown instanceof LenscapError ? thrown.cause : thrown;
  const isSqlite = typeof from === 'object' && from !== null && 'errcode' in from;
  return isSqlite ? Number(from.errcode) : 0;
}
