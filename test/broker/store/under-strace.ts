// A program that is killed, or whose disk fails, at one chosen call of the system.
// strace counts for each thread and each call by itself, so a call is named with the file that it is on
// where threads share it. UV_THREADPOOL_SIZE=1: what Node does beside is counted as one thread.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ENV } from '../../e2e/processes.ts';

/** A call, on a file of the data folder or on any. */
export interface Target {
  readonly call: string;
  readonly file?: string;
}

/** Where the program is interrupted: at the `at`-th call of the target. */
export interface Point extends Target {
  readonly at: number;
  /** `SIGKILL`, or the error that the call fails with. */
  readonly fault: 'SIGKILL' | 'EIO' | 'ENOSPC';
}

export interface Outcome {
  /** What it said before its end. */
  readonly said: readonly string[];
  /** Whether the call was made so often. */
  readonly isHit: boolean;
}

const SAID = 'said';
const TRACE = 'trace';
const TIMEOUT_MS = 60_000;

/** Runs `program FOLDER …args`. */
export function interrupted(
  folder: string,
  program: readonly string[],
  { call, file, at, fault }: Point,
): Outcome {
  const what = fault === 'SIGKILL' ? 'signal=SIGKILL' : `error=${fault}`;
  const path = file === undefined ? [] : ['-P', join(folder, file)];
  const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:${what}:when=${at}`];
  const { status, signal, said } = traced(folder, program, [...path, ...inject]);
  if (fault === 'SIGKILL') return { said, isHit: signal === 'SIGKILL' };
  const isHit = readFileSync(join(folder, TRACE), 'utf8').includes('(INJECTED)');
  if (status === null) throw new Error(`${call} ${at} ${fault}: it hangs, or fell: ${said}`);
  return { said, isHit };
}

/** How often each target is called by the thread that calls it most, when nothing interrupts it. */
export function callsOf(
  folder: string,
  program: readonly string[],
  targets: readonly Target[],
): number[] {
  const calls = new Set(targets.map(({ call }) => call));
  traced(folder, program, ['-y', '-e', `trace=${[...calls].join()}`]);
  const lines = readFileSync(join(folder, TRACE), 'utf8').split('\n');
  return targets.map((target) => {
    const threads = new Map<string, number>();
    for (const line of lines) {
      const thread = threadOf(line, target);
      if (thread !== undefined) threads.set(thread, (threads.get(thread) ?? 0) + 1);
    }
    return Math.max(0, ...threads.values());
  });
}

/** Of a line like `4711 fsync(20</data/blobs>) = 0`, when it is a call of the target. */
function threadOf(line: string, { call, file }: Target): string | undefined {
  const [, thread, called, path] = /^(\d+) +(\w+)\((?:\d+<([^>]*)>)?/.exec(line) ?? [];
  const isIt = called === call && (file === undefined || path?.endsWith(`/${file}`));
  return isIt ? thread : undefined;
}

function traced(folder: string, [program = '', ...args]: readonly string[], options: string[]) {
  const out = openSync(join(folder, SAID), 'w', 0o600);
  const command = [process.execPath, program, folder, ...args];
  const run = spawnSync(
    'strace',
    ['-f', '-qq', '-o', join(folder, TRACE), ...options, ...command],
    {
      stdio: ['ignore', out, 'inherit'],
      env: { ...ENV, UV_THREADPOOL_SIZE: '1' },
      timeout: TIMEOUT_MS,
      killSignal: 'SIGTERM',
    },
  );
  closeSync(out);
  const said = readFileSync(join(folder, SAID), 'utf8').split('\n').slice(0, -1);
  return { ...run, said };
}
