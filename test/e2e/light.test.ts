// The indicator light of a real agent under a real server. A folder of files stands in for a LED of the
// kernel; whether the source is open is asked of the kernel itself: which processes hold the file.
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { type AgentOptions, startAgent, writeConfig } from './agent.ts';
import { folderOf } from './folder.ts';
import { House } from './house.ts';
import { AGENT, eventually, finished, MOTION, node } from './processes.ts';

const FULL = '255';

/** Processes that have the file open. */
function openers(path: string): string[] {
  return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && holds(pid, path));
}

function holds(pid: string, path: string): boolean {
  try {
    const folder = `/proc/${pid}/fd`;
    return readdirSync(folder).some((fd) => readlinkSync(join(folder, fd)) === path);
  } catch {
    // It has ended, or closed the file, while it was looked at.
    return false;
  }
}

t.test('the light shines before the source is opened and until it is closed', async (t) => {
  const folder = folderOf(t);
  const source = join(folder, 'source.mov');
  copyFileSync(MOTION, source);
  const led = join(folder, 'led');
  mkdirSync(led);
  // As an agent that crashed would have left it.
  for (const [name, text] of [
    ['trigger', 'none'],
    ['brightness', '99'],
    ['max_brightness', FULL],
  ] as const)
    writeFileSync(join(led, name), `${text}\n`);
  const brightness = () => readFileSync(join(led, 'brightness'), 'utf8').trim();
  const isOpen = () => openers(source).length > 0;

  const house = await House.open(t);
  const device = await house.addDevice('lit');
  const options: AgentOptions = {
    source: { type: 'file', path: source, loop: true },
    board: { light: { type: 'led', path: led } },
  };
  const command = () =>
    finished(node(AGENT, 'light', 'off', '--config', writeConfig(device, options)));

  const first = startAgent(t, device, options);
  await eventually('dark while the cap is on', () => brightness() === '0');
  t.notOk(isOpen());
  await house.grant(device.id, 'video');
  await eventually('open', isOpen);
  t.equal(brightness(), FULL, 'it shines since before');
  const refused = await command();
  t.match(refused.err, /the light is its own/);
  t.not(refused.code, 0);
  t.equal(brightness(), FULL, 'nobody turns it off under an agent that runs');
  await first.kill('SIGKILL');
  await eventually('closed with the agent', () => !isOpen());
  t.equal(brightness(), FULL, 'as the crash left it');
  t.equal((await command()).code, 0);
  t.equal(brightness(), '0');

  const second = startAgent(t, device, options);
  await eventually('open again', isOpen);
  t.equal(brightness(), FULL);
  await house.withdraw(device.id);
  await eventually('dark after the withdrawal', () => brightness() === '0');
  t.notOk(isOpen(), 'not before the source was closed');
  for (const _ of [1, 2]) {
    await house.grant(device.id, 'video');
    await house.withdraw(device.id);
  }
  await house.grant(device.id, 'video');
  await eventually('open after all of it', isOpen);
  t.equal(brightness(), FULL);
  renameSync(led, `${led}-gone`);
  await eventually('closed in the dark', () => !isOpen());
  await second.says(/"code":"LIGHT_FAILED","nextAttemptMs"/);
  const looks: boolean[] = [];
  for (; looks.length < 10; await sleep(50)) looks.push(isOpen());
  t.notOk(looks.includes(true), 'and not opened');
  renameSync(`${led}-gone`, led);
  t.equal(await second.kill('SIGTERM'), 0);
  t.equal(brightness(), '0', 'dark after a stop');
});
