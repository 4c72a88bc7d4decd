// Faults at a call that changes one of some files: a kill, or an error of the disk (strace).
import { readFileSync, rmSync } from 'node:fs';
import type { Test } from 'tap';
import { ENV, finished, node } from '../../e2e/processes.ts';
import { seeded } from '../../seeded.ts';

/** Calls are counted by thread. */
const SINGLE = { ...ENV, UV_THREADPOOL_SIZE: '1' };

export interface Fault {
  /** As strace says it, e.g. `signal=SIGKILL`. */
  readonly effect: string;
  readonly calls: readonly string[];
}

export const KILL: Fault = {
  effect: 'signal=SIGKILL',
  calls: ['write', 'fsync', 'fdatasync', 'rename', 'unlink'],
};
export const IO_ERROR: Fault = { ...KILL, effect: 'error=EIO' };
export const DISK_FULL: Fault = {
  effect: 'error=ENOSPC',
  calls: ['write', 'fsync', 'fdatasync', 'rename'],
};

/** The n-th such call. */
interface Place {
  readonly call: string;
  readonly n: number;
}

export interface Ended {
  readonly out: string;
  readonly code: number | string;
}

export interface Program {
  /** Files whose calls are met. */
  readonly paths: readonly string[];
  readonly script: string;
  readonly args: readonly string[];
  /** Before each run: the files as they are to be. */
  readonly prepare: () => void | Promise<void>;
}

/**
 * Runs a program once for each place at which the fault can hit it: all when TORTURE is set, else one
 * of each call, by chance. `judge` is told how it ended and looks at what it left. Returns the number of runs.
 */
export async function everyFault(
  t: Test,
  { effect, calls }: Fault,
  program: Program,
  judge: (ended: Ended, place: string) => Promise<void>,
): Promise<number> {
  const random = seeded(t);
  const all = await placesOf(t, calls, program);
  t.comment(`${effect}: ${all.length} places`);
  const tried = process.env.TORTURE === undefined ? sample(all, random) : all;
  for (const { call, n } of tried)
    await judge(
      await runUnder(program, '/dev/null', `inject=${call}:${effect}:when=${n}`),
      `${effect} at ${call} ${n}`,
    );
  return tried.length;
}

/** One of each call. */
function sample(all: readonly Place[], random: () => number): Place[] {
  const chosen = new Map<string, Place>();
  const seen = new Map<string, number>();
  for (const place of all) {
    const before = seen.get(place.call) ?? 0;
    seen.set(place.call, before + 1);
    if (random() < 1 / (before + 1)) chosen.set(place.call, place);
  }
  return [...chosen.values()];
}

/** Where a run that is left alone makes such calls; it has to end well. */
async function placesOf(t: Test, calls: readonly string[], program: Program): Promise<Place[]> {
  const log = `${t.testdirName}.calls`;
  t.teardown(() => rmSync(log, { force: true }));
  const { code } = await runUnder(program, log, `trace=${calls.join(',')}`);
  t.equal(code, 0, 'without a fault it ends well');
  const lines = readFileSync(log, 'utf8').split('\n');
  return calls.flatMap((call) =>
    placesByThread(lines.filter((line) => line.includes(` ${call}(`))).map((n) => ({ call, n })),
  );
}

/** strace counts for each thread on its own, and hits the n-th of each. */
function placesByThread(lines: readonly string[]): number[] {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const [thread = ''] = line.split(' ');
    counts.set(thread, (counts.get(thread) ?? 0) + 1);
  }
  const most = Math.max(0, ...counts.values());
  return Array.from({ length: most }, (_, before) => before + 1);
}

async function runUnder(program: Program, out: string, expression: string): Promise<Ended> {
  await program.prepare();
  const paths = program.paths.flatMap((path) => ['-P', path]);
  const strace = ['strace', '-f', '-qq', '-o', out, ...paths, '-e', expression];
  return finished([...strace, ...node(program.script, ...program.args)], SINGLE);
}
