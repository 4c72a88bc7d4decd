// The processes of the demo: each in its own process group, so that Ctrl-C reaches only the runner,
// which ends them in order; and each told by the kernel to end when the runner dies.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Node starts in half the time from the second start on. */
export const COMPILE_CACHE = new URL('../../.toolchain/compile-cache', import.meta.url).pathname;
const ENV = { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE };
const STOP_TIMEOUT_MS = 15_000;

/** Arguments that run one of our programs on this very Node. */
function node(main: string, args: readonly string[]): string[] {
  const path = new URL(`../../${main}`, import.meta.url).pathname;
  return ['--pdeathsig', 'TERM', process.execPath, path, ...args];
}

/** A program that runs in the background, its log in a file. */
export class Background {
  readonly #name: string;
  readonly #logFile: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  constructor(name: string, main: string, args: readonly string[], logFile: string) {
    const log = openSync(logFile, 'a', 0o600);
    this.#name = name;
    this.#logFile = logFile;
    this.#child = spawn('setpriv', node(main, args), {
      stdio: ['ignore', log, log],
      detached: true,
      env: ENV,
    });
    closeSync(log);
    this.#exited = once(this.#child, 'exit');
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Asks it to end and waits; returns what went wrong, if anything. */
  async stop(): Promise<string | undefined> {
    const endedBefore = this.hasEnded;
    if (!endedBefore) {
      this.#child.kill('SIGTERM');
      const late = sleep(STOP_TIMEOUT_MS, 'late', { ref: false });
      if ((await Promise.race([this.#exited, late])) === 'late') {
        this.#child.kill('SIGKILL');
        await this.#exited;
        return `${this.#name} did not end within ${STOP_TIMEOUT_MS / 1000} s and was killed`;
      }
    }
    const { exitCode, signalCode } = this.#child;
    // Asked to end before it could listen for that, it ends by the signal.
    if (!endedBefore && (exitCode === 0 || signalCode === 'SIGTERM')) return undefined;
    return `${this.#name} ended with ${signalCode ?? exitCode}; its last lines:\n${this.logTail()}`;
  }

  logTail(): string {
    return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
  }
}

/** Runs one of our programs to its end; returns what it printed. */
export async function runVerb(
  main: string,
  args: readonly string[],
): Promise<{ code: number | null; output: string }> {
  const child = spawn('setpriv', node(main, args), {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
    env: ENV,
  });
  const exited = once(child, 'close');
  let output = '';
  for await (const chunk of child.stdout) output += chunk;
  await exited;
  return { code: child.exitCode, output: output.trimEnd() };
}
