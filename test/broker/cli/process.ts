// The command line as a real process, logged in at a real portal.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { openHouse, PASSWORD } from '../portal/house.ts';

const MAIN = new URL('../../../broker/cli/main.ts', import.meta.url).pathname;

export interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export async function lenscap(home: string, args: readonly string[], input = ''): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { LENSCAP_HOME: home, TZ: 'UTC' },
  });
  child.stdin.end(input);
  const [out, err] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { status: child.exitCode, out, err };
}

export async function loggedIn(t: Parameters<typeof openHouse>[0]) {
  const house = await openHouse(t);
  const home = join(house.folder, 'home');
  const run = (...args: string[]): Promise<Ended> => lenscap(home, args);
  const login = ['login', house.url, '--email', house.anna.email, '--password-file', '-'];
  const { status, err } = await lenscap(home, login, `${PASSWORD}\n`);
  if (status !== 0) throw new Error(err);
  return { house, home, run };
}
