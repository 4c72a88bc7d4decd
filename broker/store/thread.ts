// A worker thread that answers questions, one by one or overlapping. It keeps the process alive only
// while it owes an answer.
import { once } from 'node:events';
import { parentPort, type Transferable, Worker } from 'node:worker_threads';

interface Question<Q> {
  readonly id: number;
  readonly question: Q;
}

type Answer<A, F> =
  | { readonly id: number; readonly answer: A }
  | { readonly id: number; readonly failure: F };

/** Small heaps: what passes through is memory outside of them. */
const LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 512 };

/** The asking side: questions Q, answers A, failures F that cross as plain data. */
export class Thread<Q, A, F> {
  readonly #worker: Worker;
  readonly #toError: (failure: F) => Error;
  readonly #waiting = new Map<number, PromiseWithResolvers<A>>();
  readonly #end = Promise.withResolvers<never>();
  #isClosed = false;
  #nextId = 0;

  private constructor(worker: Worker, toError: (failure: F) => Error) {
    this.#worker = worker;
    this.#toError = toError;
    worker.on('message', (answer: Answer<A, F>) => this.#settle(answer));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(new Error('the thread has ended')));
    this.failed.catch(() => undefined);
    worker.unref();
  }

  /** Starts the module at `url`, which calls `answer`. */
  static async start<Q, A, F>(
    url: URL,
    data: unknown,
    toError: (failure: F) => Error,
  ): Promise<Thread<Q, A, F>> {
    const worker = new Worker(url, { workerData: data, resourceLimits: LIMITS });
    await once(worker, 'online');
    return new Thread<Q, A, F>(worker, toError);
  }

  /** Rejects when the thread ended without being asked to; nothing works after that. */
  get failed(): Promise<never> {
    return this.#end.promise;
  }

  /** Memory in `transfer` is handed over and is empty here afterwards. */
  ask(question: Q, transfer: readonly Transferable[] = []): Promise<A> {
    const id = this.#nextId++;
    if (this.#isClosed) return Promise.reject(new Error('the thread has ended'));
    const waiting = Promise.withResolvers<A>();
    if (this.#waiting.size === 0) this.#worker.ref();
    this.#waiting.set(id, waiting);
    this.#worker.postMessage({ id, question } satisfies Question<Q>, transfer);
    return waiting.promise;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#worker.ref();
    const exited = once(this.#worker, 'exit');
    this.#worker.postMessage('close');
    await exited;
  }

  #settle(answer: Answer<A, F>): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    // Whoever waits for the end has to be kept alive until then.
    if (this.#waiting.size === 0 && !this.#isClosed) this.#worker.unref();
    if ('answer' in answer) waiting?.resolve(answer.answer);
    else waiting?.reject(this.#toError(answer.failure));
  }

  #fail(error: unknown): void {
    if (!this.#isClosed) this.#end.reject(error);
    this.#isClosed = true;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

/** The answering side, called once in the worker's module. `end` runs before the thread ends. */
export function answer<Q, A, F>(
  reply: (question: Q) => A | Promise<A>,
  toFailure: (error: unknown) => F,
  end: () => void,
): void {
  const port = parentPort;
  port?.on('message', async (message: Question<Q> | 'close') => {
    if (message === 'close') {
      end();
      port.close();
      return;
    }
    const { id, question } = message;
    try {
      const pending = reply(question);
      // Not awaited when there is nothing to wait for, so that statements keep their order.
      const answered = pending instanceof Promise ? await pending : pending;
      port.postMessage({ id, answer: answered } satisfies Answer<A, F>);
    } catch (error) {
      port.postMessage({ id, failure: toFailure(error) } satisfies Answer<A, F>);
    }
  });
}
