// Real processes of the tests: each is known by its pid, dies with the test that started it, and its
// output is kept. Nothing here ends a process that it did not start.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';

const ROOT = new URL('../../', import.meta.url).pathname;
export const SERVER = `${ROOT}broker/main.ts`;
export const AGENT = `${ROOT}agent/main.ts`;
export const DEMO = `${ROOT}test/demo/main.ts`;
export const MOTION = `${ROOT}test/fixtures/motion.mov`;
export const CAMERA = `${ROOT}test/fixtures/camera.py`;
// These guard against waiting for ever; a loaded machine may take long.
const DEADLINE_MS = 60_000;
const PROGRAM_TIMEOUT_MS = 240_000;
/** For all tests of a file; as long as the one in .taprc. */
export const FILE_TIMEOUT_MS = 600_000;
/** With the cache of compiled code that the installed programs have. */
export const ENV = { ...process.env, NODE_COMPILE_CACHE: `${ROOT}.toolchain/compile-cache` };

export interface Options {
  /** Runs the program under this command, e.g. strace. */
  readonly under?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** A process with what it said. */
export class Running {
  readonly child: ChildProcess;
  /** Exit status, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  out = '';
  err = '';
  hasEnded = false;
  /** Whether the test has sent it a signal; an end without one is told. */
  #wasAsked = false;

  constructor(t: Test, command: readonly string[], { under = [], env = ENV }: Options = {}) {
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', ...under, ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.out += text;
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.err += text;
    });
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      this.hasEnded = true;
      if (!this.#wasAsked && code !== 0)
        t.comment(`ended by itself with ${code ?? signal}: ${this.tail()}`);
      return code ?? signal;
    });
    t.teardown(() => this.kill('SIGKILL'));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Sends the signal and waits for the end. */
  kill(signal: NodeJS.Signals): Promise<number | string> {
    this.#wasAsked = true;
    if (!this.hasEnded) this.child.kill(signal);
    return this.ended;
  }

  /** Waits until the process has said this on either stream. */
  async says(what: string | RegExp, deadlineMs = DEADLINE_MS): Promise<void> {
    const found = () => {
      const text = this.out + this.err;
      return typeof what === 'string' ? text.includes(what) : what.test(text);
    };
    await eventually(
      `"${what}"`,
      () => found() || this.hasEnded,
      deadlineMs,
      () => this.tail(),
    );
    if (!found()) throw new Error(`it ended before it said "${what}":\n${this.tail()}`);
  }

  tail(): string {
    return `${this.out.slice(-500)}\n${this.err.slice(-1500)}`;
  }
}

export function node(program: string, ...args: readonly string[]): string[] {
  return [process.execPath, program, ...args];
}

/** Runs a program to its end. */
export function finished(
  command: readonly string[],
  env: NodeJS.ProcessEnv = ENV,
): Promise<{ code: number; out: string; err: string }> {
  const args = ['--pdeathsig', 'KILL', ...command];
  return new Promise((resolve) => {
    execFile(
      'setpriv',
      args,
      { env, maxBuffer: 64 << 20, timeout: PROGRAM_TIMEOUT_MS, killSignal: 'SIGKILL' },
      (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, err });
      },
    );
  });
}

/** A look at what is in memory is cheap; a question to the server costs both a good part of this. */
const PAUSE_MIN_MS = 20;
const PAUSE_MAX_MS = 1000;
/** Of the time of a wait, a tenth is spent on looking. */
const PAUSES_PER_LOOK = 9;

/** Waits until the condition holds. @throws Error naming what was waited for. */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  deadlineMs = DEADLINE_MS,
  more: () => string = () => '',
): Promise<void> {
  const startMs = performance.now();
  for (;;) {
    const lookMs = performance.now();
    if (await holds()) return;
    const nowMs = performance.now();
    if (nowMs - startMs > deadlineMs)
      throw new Error(`waited ${deadlineMs} ms in vain for ${what}\n${more()}`);
    const pauseMs = PAUSES_PER_LOOK * (nowMs - lookMs);
    await sleep(Math.min(Math.max(pauseMs, PAUSE_MIN_MS), PAUSE_MAX_MS));
  }
}

/** All that descend from a process: children, their children, and so on. */
export function descendants(pid: number): number[] {
  const found = [pid];
  for (const ancestor of found) found.push(...childrenOf(ancestor).filter(isAlive));
  return found.slice(1);
}

/** Children are known by the thread that started them. */
function childrenOf(pid: number): number[] {
  const lists = threadsOf(pid).map((thread) => procFile(pid, `task/${thread}/children`));
  return lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

/** The capture processes of an agent. */
export function captures(agentPid: number): number[] {
  return descendants(agentPid).filter((pid) => commandLine(pid).includes('capture/child.ts'));
}

/** Whether a process exists and is not a zombie. */
export function isAlive(pid: number): boolean {
  return parentOf(pid) !== undefined;
}

function parentOf(pid: number): number | undefined {
  const [, state, parent] = /\) (\S) (\d+)/.exec(procFile(pid, 'stat')) ?? [];
  return state === undefined || state === 'Z' || state === 'X' ? undefined : Number(parent);
}

export function commandLine(pid: number): string {
  return procFile(pid, 'cmdline');
}

export function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

/** Resident memory, bytes. */
export function rssBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(procFile(pid, 'status'))?.[1] ?? 0) * 1024;
}
