// The command line at a real portal: as a real process, or, where only its words count, in this one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Credentials } from '../../../broker/cli/credentials.ts';
import { Editor } from '../../../broker/cli/editor.ts';
import { runCommand } from '../../../broker/cli/program.ts';
import { Terminal } from '../../../broker/cli/terminal.ts';
import { ENV } from '../../e2e/processes.ts';
import { openHouse, PASSWORD } from '../portal/house.ts';

export const MAIN = new URL('../../../broker/cli/main.ts', import.meta.url).pathname;

export interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export async function lenscap(home: string, args: readonly string[], input = ''): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { LENSCAP_HOME: home, TZ: 'UTC', NODE_COMPILE_CACHE: ENV.NODE_COMPILE_CACHE },
  });
  child.stdin.end(input);
  const [out, err] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  return { status: child.exitCode, out, err };
}

/** The same commands in this process, with nobody at the terminal. */
export async function inProcess(
  home: string,
  args: readonly string[],
  input = '',
  editor = 'false',
): Promise<Ended> {
  const [stdin, stdout, stderr] = [Readable.from([input]), new PassThrough(), new PassThrough()];
  const status = await runCommand(args, {
    terminal: new Terminal({ stdin, stdout, stderr }),
    credentials: new Credentials(home),
    nowMs: Date.now,
    editor: new Editor(editor),
    signal: new AbortController().signal,
  });
  stdout.end();
  stderr.end();
  return { status, out: await text(stdout), err: await text(stderr) };
}

/** A command in this process that goes on until `end`, as by Ctrl-C, which answers its exit status. */
export function cancellable(
  home: string,
  args: readonly string[],
  onShown: () => void = () => undefined,
): { readonly shown: () => string; readonly end: () => Promise<number> } {
  const abort = new AbortController();
  const [stdin, stdout, stderr] = [Readable.from(['']), new PassThrough(), new PassThrough()];
  let shown = '';
  stdout.on('data', (chunk: Buffer) => {
    shown += chunk;
    onShown();
  });
  const ended = runCommand(args, {
    terminal: new Terminal({ stdin, stdout, stderr }),
    credentials: new Credentials(home),
    nowMs: Date.now,
    editor: new Editor('false'),
    signal: abort.signal,
  });
  const end = (): Promise<number> => {
    abort.abort();
    return ended;
  };
  return { shown: () => shown, end };
}

/** A portal, and an owner who is logged in to it: `run` is the real process, `quick` is not. */
export async function loggedIn(t: Parameters<typeof openHouse>[0]) {
  const house = await openHouse(t);
  const home = join(house.folder, 'home');
  const run = (...args: string[]): Promise<Ended> => lenscap(home, args);
  const login = ['login', house.url, '--email', house.anna.email, '--password-file', '-'];
  const { status, err } = await inProcess(home, login, `${PASSWORD}\n`);
  if (status !== 0) throw new Error(err);
  const quick = (...args: string[]): Promise<Ended> => inProcess(home, args);
  return { house, home, run, quick };
}

/**
 * A real process at a real terminal (script of util-linux), at which `typed` is typed when it asks.
 * `seen` is told everything shown so far, whenever there is more.
 */
export async function atTerminal(
  home: string,
  args: readonly string[],
  typed: string,
  seen: (shown: string) => void = () => undefined,
): Promise<Ended> {
  const line = [process.execPath, MAIN, ...args].map((arg) => `'${arg}'`).join(' ');
  const { NODE_COMPILE_CACHE } = ENV;
  const env = { LENSCAP_HOME: home, PATH: '/usr/bin:/bin', NODE_COMPILE_CACHE };
  const child = spawn('script', ['-qec', line, '/dev/null'], { env });
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk;
    seen(shown);
    if (/for no: |Password: /.test(String(chunk))) child.stdin.end(typed);
  });
  const [out] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return { status: child.exitCode, out, err: '' };
}
