// Looking for a code keeps and sends no picture: the system calls of the capture child are the proof.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { qrText } from '../../../proto/setup-code.ts';
import { never } from '../capture/harness.ts';
import { clip, newCode } from './shown.ts';

const run = promisify(execFile);
const WATCHED = new URL('./watched.ts', import.meta.url).pathname;
/** More is said over IPC by nobody but one who sends pictures; one has 460,800 bytes. */
const MAX_SAID = 20_000;

/** The lines of a trace that belong to the capture child and its threads. */
function ofChild(trace: readonly string[]): string[] {
  const start = trace.findIndex((line) => /execve\(.*capture\/child\.ts/.test(line));
  const child = /^\d+/.exec(trace[start] ?? '')?.[0] ?? never('no capture child');
  const ids = new Set([child]);
  return trace.slice(start).filter((line) => {
    const id = /^\d+/.exec(line)?.[0] ?? '';
    const made = /(?:clone3?|vfork|fork)\(.*= (\d+)$/.exec(line)?.[1];
    if (ids.has(id) && made !== undefined) ids.add(made);
    return ids.has(id);
  });
}

t.test('the child writes no file, opens no connection and says no more than texts', async (t) => {
  const dir = t.testdir({});
  const path = await clip(dir, [qrText(newCode())], { size: '640x480' });
  const out = join(dir, 'trace');
  const calls =
    'execve,clone,clone3,fork,vfork,open,openat,openat2,creat,mkdir,mkdirat,rename,renameat2,link,linkat,mknod,mknodat,memfd_create,socket,connect,sendto,sendmsg,write,writev,pwrite64';
  // Node itself would write what it compiled.
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const strace = ['-f', '-qq', '-s', '300', '-e', 'signal=none', '-e', `trace=${calls}`, '-o', out];
  const { stdout } = await run('strace', [...strace, process.execPath, WATCHED, path], { env });
  t.equal(stdout, 'offered 2\n');
  const trace = ofChild(readFileSync(out, 'utf8').split('\n'));
  const matching = (pattern: RegExp): string[] => trace.filter((line) => pattern.test(line));
  t.ok(trace.length > 100, `${trace.length} calls`);
  t.strictSame(
    matching(/\bopen(at2?)?\(.*O_(CREAT|WRONLY|RDWR|TMPFILE)/).filter(
      (line) => !/"\/dev\/(null|dri\/|shm\/orcexec)/.test(line),
    ),
    [],
    'opens nothing to write',
  );
  t.strictSame(matching(/\b(creat|mkdir(at)?|rename(at2)?|link(at)?|mknod(at)?)\(/), []);
  t.strictSame(matching(/\b(connect|socket)\(.*AF_INET/), [], 'no network');
  t.strictSame(matching(/\b(write|writev|pwrite64|sendmsg|sendto)\(4,/), [], 'nothing for media');
  const said = matching(/\b(write|writev|sendmsg|sendto)\(3,/);
  t.ok(said.length > 0, 'but it does speak over IPC');
  const bytes = said.map((line) => Number(/= (\d+)$/.exec(line)?.[1] ?? 0));
  const sum = bytes.reduce((all, one) => all + one, 0);
  t.ok(sum < MAX_SAID, `${sum} bytes in ${said.length} messages`);
  for (const line of said) t.match(line, /kind\\":\\"(barcode|pictures)\\"/);
});
