// Power cuts: a program is killed at a call that changes a file of its board.
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import { ENV } from '../../e2e/processes.ts';
import { seeded } from '../../seeded.ts';
import { Board } from './board.ts';
import { Service } from './service.ts';

const CALLS = ['write', 'fsync', 'rename', 'link', 'unlink'];
/** Calls are counted by thread. */
export const SINGLE = { ...ENV, UV_THREADPOOL_SIZE: '1' };

/** Runs a program with its n-th such call on a file of the board replaced by `fault`. */
export function faultAt(board: Board, call: string, n: number, fault: string): string[] {
  const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:${fault}:when=${n}`];
  return traced(board, '/dev/null', ...inject);
}

function traced(board: Board, out: string, ...args: readonly string[]): string[] {
  const { identityPath, stateDir } = board;
  const files = [identityPath, `${identityPath}.pending`].flatMap((path) => [path, `${path}.new`]);
  const state = ['resetting', 'releasing', 'grant', 'last-pictures', 'configuration', 'instance'];
  const paths = [dirname(identityPath), stateDir, ...files, ...state.map((f) => join(stateDir, f))];
  return ['strace', '-f', '-qq', '-o', out, ...paths.flatMap((path) => ['-P', path]), ...args];
}

type Once = (under: (board: Board) => string[]) => Promise<boolean>;

/**
 * Has a program killed at its calls: at every one when TORTURE is set, else at the first one and at one
 * by chance. `once` runs it under the command on a new board and tells whether it was killed. Returns
 * how often it was.
 */
export async function everyKill(t: Test, once: Once): Promise<number> {
  const random = seeded(t);
  const all = await callsOf(t, once);
  const byChance = 1 + Math.floor(random() * (all.length - 1));
  const isChosen = (place: number) => place === 0 || place === byChance;
  const chosen = process.env.TORTURE === undefined ? all.filter((_, at) => isChosen(at)) : all;
  t.comment(`${chosen.length} of ${all.length} calls`);
  let kills = 0;
  for (const { call, n } of chosen)
    if (await once((board) => faultAt(board, call, n, 'signal=SIGKILL'))) kills += 1;
  return kills;
}

/** The calls of a program that is left alone. */
async function callsOf(t: Test, once: Once): Promise<{ call: string; n: number }[]> {
  const log = `${t.testdirName}.calls`;
  t.teardown(() => rmSync(log, { force: true }));
  // The filter in the kernel is quicker, and of no use where a signal is to be put in.
  const list = ['--seccomp-bpf', '-e', `trace=${CALLS.join(',')}`];
  await once((board) => traced(board, log, ...list));
  const lines = readFileSync(log, 'utf8').split('\n');
  return CALLS.flatMap((call) =>
    lines
      .filter((line) => line.includes(` ${call}(`))
      .map((_, before) => ({ call, n: before + 1 })),
  );
}

/** A device id, and the identity that a board got when it was claimed as that. */
export async function claimed(
  t: Test,
  service: Service,
): Promise<{ deviceId: string; identity: Buffer }> {
  const board = new Board(t);
  const { code, deviceId } = service.newCode();
  t.match(await board.claim(code), { code: 0 });
  return { deviceId, identity: readFileSync(board.identityPath) };
}

export async function serve(t: { teardown(end: () => void): void }): Promise<Service> {
  const service = await Service.start();
  t.teardown(() => service.close());
  return service;
}
