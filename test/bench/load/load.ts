// The bench's handle on a load generator.
import { type Started, start, stop } from '../processes.ts';
import type { FromGenerator, LoadResult, LoadSpec, ToGenerator } from './messages.ts';

export class Load {
  readonly #started: Started;
  readonly #ready = Promise.withResolvers<string>();
  readonly #done = Promise.withResolvers<LoadResult>();

  constructor(spec: LoadSpec) {
    const path = new URL('./generator.ts', import.meta.url).pathname;
    this.#started = start(process.execPath, [path], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    for (const { promise } of [this.#ready, this.#done]) promise.catch(() => undefined);
    this.#started.child.on('message', (message: FromGenerator) => this.#receive(message));
    this.#started.child.once('exit', () =>
      this.#fail(`the load generator ended: ${this.#started.stderr.slice(-5).join('\n')}`),
    );
    this.#say({ kind: 'start', spec });
  }

  /** All connections stand; resolves with the cipher. */
  ready(): Promise<string> {
    return this.#ready.promise;
  }

  /** Everything sent is acknowledged. Rejects when a connection was lost. */
  done(): Promise<LoadResult> {
    return this.#done.promise;
  }

  newEpoch(device: number, epoch: number): void {
    this.#say({ kind: 'epoch', device, epoch });
  }

  /** Sends nothing more, waits for what is pending. */
  async stop(): Promise<LoadResult> {
    this.#say({ kind: 'stop' });
    return await this.done();
  }

  async end(): Promise<void> {
    await stop(this.#started);
  }

  #say(message: ToGenerator): void {
    this.#started.child.send(message);
  }

  #receive(message: FromGenerator): void {
    if (message.kind === 'ready') this.#ready.resolve(message.cipher);
    else if (message.kind === 'done') this.#done.resolve(message.result);
    else this.#fail(message.why);
  }

  #fail(why: string): void {
    this.#ready.reject(new Error(why));
    this.#done.reject(new Error(why));
  }
}
