// Kysely over SQLite in a worker thread: every statement is awaited, as with PostgreSQL, and one
// transaction at a time holds the only connection.
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { LenscapError } from '../../proto/errors.ts';
import type { Result, SqliteFailure, Statement } from './sqlite-worker.ts';
import { Thread } from './thread.ts';

const SQLITE_FULL = 13;
const SQLITE_IOERR = 10;

/** Dialect for the SQLite file at `path`, made if absent. */
export function sqliteDialect(path: string): Dialect {
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new WorkerDriver(path),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

class WorkerDriver implements Driver {
  readonly #path: string;
  #connection: WorkerConnection | undefined;
  #last: Promise<void> = Promise.resolve();
  #release: () => void = () => undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async init(): Promise<void> {
    const url = new URL('./sqlite-worker.ts', import.meta.url);
    this.#connection = new WorkerConnection(
      await Thread.start(url, { path: this.#path }, indexError),
    );
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    this.#release = resolve;
    if (!this.#connection) throw new LenscapError('BUG', 'the index is not open');
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    this.#release();
  }

  /** IMMEDIATE: other processes of the operator write to the same file. */
  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // A full disk has SQLite roll back by itself; then there is nothing left to roll back.
    await connection.executeQuery(CompiledQuery.raw('rollback')).catch(() => undefined);
  }

  async destroy(): Promise<void> {
    await this.#connection?.close();
  }
}

class WorkerConnection implements DatabaseConnection {
  readonly #thread: Thread<Statement, Result, SqliteFailure>;

  constructor(thread: Thread<Statement, Result, SqliteFailure>) {
    this.#thread = thread;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const statement = { sql, parameters: parameters as Statement['parameters'] };
    const { rows, changes } = await this.#thread.ask(statement);
    return { rows: rows as R[], numAffectedRows: BigInt(changes) };
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new LenscapError('BUG', 'the index does not stream; page through it');
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}

function indexError({ message, errcode }: SqliteFailure): Error {
  const primary = errcode & 0xff;
  if (primary === SQLITE_FULL) return new LenscapError('STORE_FULL', `the index: ${message}`);
  if (primary === SQLITE_IOERR) return new LenscapError('STORE_FAILED', `the index: ${message}`);
  return new LenscapError('STORE_FAILED', message);
}
