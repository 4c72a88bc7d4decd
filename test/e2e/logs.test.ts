// The log of a real agent at a real server: followed by its owner while there is consent, and nowhere
// when there is none.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t from 'tap';
import { PICTURE, startAgent, stateOf } from './agent.ts';
import { House } from './house.ts';
import { ENV, FILE_TIMEOUT_MS, node, Running, SERVER } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const CLI = SERVER.replace('main.ts', 'cli/main.ts');

t.test('the owner follows the log, and without consent nothing of it leaves', async (t) => {
  const house = await House.open(t);
  const device = await house.addDevice('hall');
  const held = (): number => {
    const index = new DatabaseSync(join(house.folder, 'index.db'), { readOnly: true });
    try {
      const row = index.prepare('select count(*) as batches from log_batches').get();
      return Number(row?.batches);
    } finally {
      index.close();
    }
  };
  await house.grant(device.id, 'video');
  const agent = startAgent(t, device, { source: PICTURE, audio: 'none' });
  await agent.says('the lens cap is off');
  await agent.kill('SIGTERM');
  t.equal(held(), 0, 'nothing was taken in');
  t.match(journalOf(stateOf(device)), 'the lens cap is off', 'the log stays on the device');

  await house.grant(device.id, 'video', 'device_log');
  const again = startAgent(t, device, { source: PICTURE, audio: 'none' });
  const home = join(house.folder, 'home');
  await house.logIn(home);
  const env = { ...ENV, LENSCAP_HOME: home };
  const follower = new Running(t, node(CLI, 'logs', 'hall', '--follow', '--level', 'debug'), {
    env,
  });
  await again.says('the lens cap is off');
  await again.says('"scopes":["video","device_log"]');
  await house.withdraw(device.id, 'video');
  await follower.says('the lens cap is on');
  t.ok(held() > 0);
  await house.withdraw(device.id, 'device_log');
  await again.says('"scopes":[]');
  await house.grant(device.id, 'video');
  await again.says(/"scopes":\["video"\][\s\S]*the lens cap is off/);
  const before = held();
  await again.kill('SIGTERM');
  await follower.kill('SIGKILL');
  t.equal(held(), before, 'nothing is taken in after the withdrawal');
  const shown = follower.out;
  t.notMatch(shown, /\/work|\/tmp|localhost|127\.0\.0\.1/, 'no path and no address is in it');
  const journal = journalOf(stateOf(device));
  t.match(journal, '"epoch":0', 'what came after the withdrawal stays on the device');
  t.notMatch(
    journal,
    /"number":\d+,"epoch":[1-9]/,
    'and what was noted under the consent is erased',
  );
});

function journalOf(stateDir: string): string {
  const folder = join(stateDir, 'journal');
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('');
}
