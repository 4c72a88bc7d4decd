// Power cuts: a program is killed at the n-th call that changes a file of its board, for every n.
import { dirname, join } from 'node:path';
import type { Board } from './board.ts';
import { Service } from './service.ts';

const CALLS = ['write', 'fsync', 'rename', 'link', 'unlink'];
/** Calls are counted by thread. */
export const SINGLE = { ...process.env, UV_THREADPOOL_SIZE: '1' };

/** Runs a program that is killed at the n-th such call on a file of the board. */
export function killedAt(board: Board, call: string, n: number): string[] {
  const { identityPath, stateDir } = board;
  const files = [identityPath, `${identityPath}.pending`].flatMap((path) => [path, `${path}.new`]);
  const state = ['resetting', 'releasing', 'grant', 'last-pictures', 'instance'];
  const paths = [dirname(identityPath), stateDir, ...files, ...state.map((f) => join(stateDir, f))];
  return [
    'strace',
    '-f',
    '-qq',
    ...['-o', '/dev/null'],
    ...paths.flatMap((path) => ['-P', path]),
    ...['-e', `inject=${call}:signal=SIGKILL:when=${n}`],
  ];
}

/** Goes through all kills until one does not come; returns how many came. */
export async function everyKill(
  once: (under: (board: Board) => string[]) => Promise<boolean>,
): Promise<number> {
  let kills = 0;
  for (const call of CALLS)
    for (let n = 1; await once((board) => killedAt(board, call, n)); n += 1) kills += 1;
  return kills;
}

export async function serve(t: { teardown(end: () => void): void }): Promise<Service> {
  const service = await Service.start();
  t.teardown(() => service.close());
  return service;
}
