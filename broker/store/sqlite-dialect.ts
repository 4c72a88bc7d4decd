// Kysely over SQLite in a worker thread: every statement is awaited, as with PostgreSQL, and one
// transaction at a time holds the only connection.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
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
import type { Answer, Statement } from './sqlite-worker.ts';

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
    const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), {
      workerData: { path: this.#path },
    });
    await once(worker, 'online');
    this.#connection = new WorkerConnection(worker);
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

type Waiting = PromiseWithResolvers<Extract<Answer, { rows: readonly unknown[] }>>;

class WorkerConnection implements DatabaseConnection {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (answer: Answer) => this.#settle(answer));
    worker.on('error', (error) => this.#fail(error));
    worker.unref();
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const id = this.#nextId++;
    const waiting: Waiting = Promise.withResolvers();
    if (this.#waiting.size === 0) this.#worker.ref();
    this.#waiting.set(id, waiting);
    const parameters = query.parameters as Statement['parameters'];
    this.#worker.postMessage({ id, sql: query.sql, parameters } satisfies Statement);
    const { rows, changes } = await waiting.promise;
    return { rows: rows as R[], numAffectedRows: BigInt(changes) };
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new LenscapError('BUG', 'the index does not stream; page through it');
  }

  async close(): Promise<void> {
    if (this.#waiting.size === 0) this.#worker.ref();
    const exited = once(this.#worker, 'exit');
    this.#worker.postMessage('close');
    await exited;
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#worker.unref();
    if (answer.error === undefined) waiting?.resolve(answer);
    else waiting?.reject(indexError(answer.error));
  }

  #fail(error: unknown): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

function indexError({ message, errcode }: { message: string; errcode: number }): Error {
  const primary = errcode & 0xff;
  if (primary === SQLITE_FULL) return new LenscapError('STORE_FULL', `the index: ${message}`);
  if (primary === SQLITE_IOERR) return new LenscapError('STORE_FAILED', `the index: ${message}`);
  return new LenscapError('STORE_FAILED', message);
}
