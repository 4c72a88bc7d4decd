// Processes of the bench and what they cost, by /proc. Whatever was started here is ended by its
// pid, also when the bench is interrupted.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const TICKS_PER_S = 100;
const running = new Set<ChildProcess>();

/** A process whose output is kept line by line. */
export interface Started {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly stdout: string[];
  readonly stderr: string[];
  /** The first line of either output that matches. Rejects when the process ends before. */
  line(pattern: RegExp, timeoutMs: number): Promise<RegExpMatchArray>;
}

/** With the cache of compiled code that the installed programs run with. */
const CACHE = new URL('../../.toolchain/compile-cache', import.meta.url).pathname;
const ENV = { ...process.env, NODE_COMPILE_CACHE: CACHE };

/** Starts a process; `stdin` is empty. */
export function start(
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Started {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: ENV, ...options });
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  const stdout: string[] = [];
  const stderr: string[] = [];
  if (child.stdout)
    createInterface({ input: child.stdout }).on('line', (line) => stdout.push(line));
  if (child.stderr)
    createInterface({ input: child.stderr }).on('line', (line) => stderr.push(line));
  const line = async (pattern: RegExp, timeoutMs: number): Promise<RegExpMatchArray> => {
    const end = Date.now() + timeoutMs;
    for (;;) {
      for (const text of [...stdout, ...stderr]) {
        const found = text.match(pattern);
        if (found) return found;
      }
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > end)
        throw new Error(
          `${command} ${args.join(' ')}: no line ${pattern}\n${[...stdout, ...stderr].slice(-20).join('\n')}`,
        );
      await sleep(5);
    }
  };
  if (child.pid === undefined) throw new Error(`${command} cannot be started`);
  return { child, pid: child.pid, stdout, stderr, line };
}

/** Runs a process to its end and returns its standard output. Rejects unless it exits with 0. */
export async function run(
  command: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<string> {
  const started = start(command, args, options);
  await ended(started);
  if (started.child.exitCode !== 0)
    throw new Error(`${command} ${args.join(' ')} failed:\n${started.stderr.join('\n')}`);
  return started.stdout.join('\n');
}

async function ended({ child }: Started): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  else await sleep(20);
}

/** SIGTERM; after ten seconds SIGKILL to all that is left of its tree. Resolves when it is gone. */
export async function stop(started: Started): Promise<void> {
  const { child, pid } = started;
  if (child.exitCode !== null || child.signalCode !== null) return;
  const tree = treeOf(pid);
  child.kill('SIGTERM');
  const backstop = setTimeout(() => tree.forEach(killPid), 10_000);
  await ended(started);
  clearTimeout(backstop);
}

/** Ends a process by this signal and waits until it is gone. */
export async function kill(started: Started, signal: NodeJS.Signals): Promise<void> {
  started.child.kill(signal);
  await ended(started);
}

/** Ends everything at once: for interruption and for a figure that failed half-way. */
export function killAll(): void {
  for (const child of running) {
    for (const pid of child.pid === undefined ? [] : treeOf(child.pid)) killPid(pid);
  }
}

function killPid(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It was quicker.
  }
}

/** The process and all its descendants that are alive. */
export function treeOf(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(statOf(Number(name))?.[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** Fields of /proc/PID/stat from the state on; undefined when it is gone. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** User + system seconds of a process tree so far, ended and awaited children included. */
export function cpuSeconds(root: number): number {
  let ticks = 0;
  for (const pid of treeOf(root)) {
    const stat = statOf(pid);
    for (const field of [11, 12, 13, 14]) ticks += Number(stat?.[field] ?? 0);
  }
  return ticks / TICKS_PER_S;
}

export interface Memory {
  readonly rssMb: number;
  readonly pssMb: number;
}

/** Memory of a process tree now. */
export function memoryOf(root: number): Memory {
  let rss = 0;
  let pss = 0;
  for (const pid of treeOf(root)) {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
      rss += Number(/^Rss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
      pss += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
    } catch {
      // It was quicker.
    }
  }
  return { rssMb: rss / 1024, pssMb: pss / 1024 };
}

/** Largest resident memory a process ever had, MB. */
export function peakRssMb(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmHWM:\s+(\d+)/m.exec(text)?.[1] ?? 0) / 1024;
}

/** Files that a process started from here may have open. */
export function openFilesLimit(): number {
  const text = readFileSync('/proc/self/limits', 'latin1');
  return Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? Number.POSITIVE_INFINITY);
}
