// Who is connected, as the running server tells the operator's verbs.
import { spawnSync } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { connectedDevices, Presence } from '../../../broker/operator/presence.ts';
import { eventually } from './eventually.ts';

const log = pino({ level: 'silent' });

t.test('it follows the connections, and nothing is left when the server ends', async (t) => {
  const folder = t.testdir({ run: {} });
  t.equal(await connectedDevices(folder), undefined, 'no server runs');
  let connected = ['cam-b', 'cam-a'];
  const abort = new AbortController();
  const running = new Presence({ folder, connected: () => connected, log }).run(abort.signal);
  await eventually(async () => (await connectedDevices(folder))?.size === 2);
  t.equal((await stat(join(folder, 'run', 'connected.json'))).mode & 0o777, 0o600);
  connected = ['cam-c'];
  await eventually(async () => (await connectedDevices(folder))?.has('cam-c') ?? false);
  abort.abort();
  await running;
  t.strictSame(await readdir(join(folder, 'run')), []);
});

t.test('what a server left that was killed is not believed', async (t) => {
  const folder = t.testdir({ run: {} });
  const path = join(folder, 'run', 'connected.json');
  const { pid } = spawnSync('true');
  await writeFile(path, JSON.stringify({ pid, connected: ['cam-a'] }));
  t.equal(await connectedDevices(folder), undefined);
  await writeFile(path, (await readFile(path, 'utf8')).replace(String(pid), String(process.pid)));
  t.ok((await connectedDevices(folder))?.has('cam-a'));
});

t.test('a folder that cannot be written stops nothing', async (t) => {
  const folder = t.testdir();
  const abort = new AbortController();
  let looked = 0;
  const connected = (): string[] => {
    looked += 1;
    return [`cam-${looked}`];
  };
  const running = new Presence({ folder, connected, log }).run(abort.signal);
  await eventually(async () => looked >= 2);
  abort.abort();
  await running;
  t.equal(await connectedDevices(folder), undefined);
});
