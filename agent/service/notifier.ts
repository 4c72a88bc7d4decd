// What the service manager is told (sd_notify(3)), by the program systemd-notify: Node has no datagram
// sockets of the Unix kind. INVARIANT: messages go out one after another, in the order of asking; where
// there is no service manager, or it cannot be told, nothing else changes.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { toLenscapError } from '../../proto/errors.ts';

const run = promisify(execFile);
const ANSWER_MS = 5000;

/** A word of sd_notify(3). */
export type Word = 'READY=1' | 'STOPPING=1' | 'WATCHDOG=1' | 'RELOADING=1';

export interface NotifierDeps {
  /** NOTIFY_SOCKET of the environment; undefined: no service manager. */
  readonly socket: string | undefined;
  readonly log: Logger;
  /** Absent: systemd-notify of the system. */
  readonly program?: string;
}

export class Notifier {
  readonly #deps: NotifierDeps;
  #turn: Promise<void> = Promise.resolve();
  #isBroken = false;
  #status = '';

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
  }

  /** Resolves when it was told, or could not be. Never rejects. */
  tell(word: Word): Promise<void> {
    const more = word === 'RELOADING=1' ? [`MONOTONIC_USEC=${monotonicUs()}`] : [];
    return this.#send([word, ...more]);
  }

  /** A line for `systemctl status`; the same again is not told. */
  status(text: string): Promise<void> {
    if (text === this.#status) return this.#turn;
    this.#status = text;
    return this.#send([`STATUS=${text}`]);
  }

  #send(words: readonly string[]): Promise<void> {
    this.#turn = this.#turn.then(() => this.#run(words));
    return this.#turn;
  }

  async #run(words: readonly string[]): Promise<void> {
    const { socket, log, program = 'systemd-notify' } = this.#deps;
    if (socket === undefined || socket === '') return;
    try {
      const env = { NOTIFY_SOCKET: socket, PATH: '/usr/bin:/bin' };
      await run(program, [...words], { env, timeout: ANSWER_MS });
      this.#isBroken = false;
    } catch (error) {
      if (this.#isBroken) return;
      this.#isBroken = true;
      log.warn(
        { code: 'BUG', reason: toLenscapError(error).detail.slice(0, 200) },
        'the service manager cannot be told; is systemd-notify installed?',
      );
    }
  }
}

/** CLOCK_MONOTONIC, which is what Node counts by. */
function monotonicUs(): bigint {
  return process.hrtime.bigint() / 1000n;
}
