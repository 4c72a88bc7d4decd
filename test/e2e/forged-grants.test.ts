// Grants that a server with all certificates, but without the owner's consent, might send to the real
// agent; and the lease, by which consent ends when no server is heard of any more.
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { isCapturing, startAgent, stateOf } from './agent.ts';
import { consentKey, forgedServer, grantOf } from './forged-server.ts';
import { House } from './house.ts';
import { eventually, FILE_TIMEOUT_MS } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const LEASE_S = 15;

t.test('a grant that is forged, older, or for another camera does not open this one', async (t) => {
  const house = await House.open(t);
  const camera = await house.addDevice('camera');
  const other = await house.addDevice('other');
  await house.grant(camera.id, 'video');
  await house.withdraw(camera.id);
  const agent = startAgent(t, camera);
  await eventually('it obeys', async () => (await house.device(camera.id)).appliedEpoch === 3);
  await house.server.kill('SIGKILL');
  const server = await forgedServer(t, house, camera);
  const right = consentKey(house);
  const wrong = generateKeyPairSync('ed25519').privateKey;
  const good = Buffer.from(grantOf(camera.id, 9, right));
  const flipped = Buffer.from(good).fill((good.at(20) ?? 0) ^ 1, 20, 21);
  const bad: [string, Uint8Array][] = [
    ['signed by another key', grantOf(camera.id, 9, wrong)],
    ['for another camera', grantOf(other.id, 9, right)],
    ['of an older epoch', grantOf(camera.id, 2, right)],
    ['of the same epoch with other scopes', grantOf(camera.id, 3, right)],
    ['with a bit flipped', flipped],
    ['cut short', good.subarray(0, good.length - 1)],
    ['empty', Buffer.alloc(0)],
    ['noise', Buffer.alloc(500, 7)],
    ['without a lease', grantOf(camera.id, 9, right, { leaseS: 0 })],
    ['without a policy', grantOf(camera.id, 9, right, { policySha256: Buffer.alloc(0) })],
  ];
  await eventually('it is connected again', () => server.connections > 0);
  for (const [what, payload] of bad) {
    const before = agent.err.length;
    await eventually(`a word on the one ${what}`, () => {
      if (agent.err.length === before) server.say('grant', payload);
      return /GRANT_INVALID|is ignored/.test(agent.err.slice(before));
    });
    t.notOk(isCapturing(agent), what);
  }
  await sleep(300);
  t.notOk(isCapturing(agent), 'nor later');
  t.notMatch(agent.err, /"cap":"off"/);
  t.ok(
    server.nouns().every((noun) => noun === 'applied'),
    `published: ${[...new Set(server.nouns())]}`,
  );
  server.say('grant', grantOf(camera.id, 4, right));
  await eventually('the honest one opens it', () => isCapturing(agent));
  t.equal(await agent.kill('SIGTERM'), 0);
});

t.test(
  'without a server the agent records under its saved grant until the lease ends',
  async (t) => {
    const house = await House.open(t, { consent: { leaseS: LEASE_S } });
    const camera = await house.addDevice('camera');
    await house.grant(camera.id, 'video');
    const first = startAgent(t, camera, { audio: 'none' });
    await eventually('it records', async () => (await house.device(camera.id)).segments > 0);
    await house.server.kill('SIGKILL');
    const cutMs = performance.now();
    await first.kill('SIGKILL');
    const second = startAgent(t, camera, { audio: 'none' });
    await eventually('it records again, offline', () => isCapturing(second));
    t.ok(performance.now() - cutMs < LEASE_S * 1000, 'within the lease');
    await eventually('the lease ends it', () => !isCapturing(second), (LEASE_S + 2) * 1000);
    await second.says(/the lease ran out/);
    await second.kill('SIGTERM');
    const third = startAgent(t, camera, { audio: 'none' });
    await third.says(/"not connected/);
    t.notOk(isCapturing(third), 'a restart does not bring it back');
    await house.start();
    await eventually('the server does', () => isCapturing(third));
    await third.kill('SIGKILL');
  },
);

t.test('a saved grant that is damaged in any way leaves the cap on', async (t) => {
  const house = await House.open(t);
  const camera = await house.addDevice('camera');
  await house.grant(camera.id, 'video');
  const first = startAgent(t, camera, { audio: 'none' });
  await eventually('it records', () => isCapturing(first));
  await first.kill('SIGKILL');
  await house.server.kill('SIGKILL');
  const file = join(stateOf(camera), 'grant');
  const whole = readFileSync(file);
  const damage: [string, () => void][] = [
    ['emptied', () => truncateSync(file, 0)],
    ['cut', () => truncateSync(file, whole.length - 1)],
    [
      'with a later time of receipt',
      () => writeFileSync(file, whole.toString().replace(/"receivedAtUs":\d/, '"receivedAtUs":9')),
    ],
  ];
  for (const [what, act] of damage) {
    writeFileSync(file, whole);
    act();
    const agent = startAgent(t, camera, { audio: 'none' });
    await agent.says(/"not connected/);
    t.notOk(isCapturing(agent), what);
    t.match(agent.err, /GRANT_INVALID/, 'and it is said');
    t.equal(await agent.kill('SIGTERM'), 0);
  }
});
