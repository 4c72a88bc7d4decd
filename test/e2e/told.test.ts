// What a camera tells of itself and of what happens, all the way from its kernel to its owner: with the
// real agent, and only under consent.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { IDENTITY, knownOf } from '../broker/collector/known.ts';
import { PICTURE, startAgent, stateOf } from './agent.ts';
import { House } from './house.ts';
import { eventually, FILE_TIMEOUT_MS } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const house = await House.open(t);
const EARLIER_BOOT = '01234567-89ab-4cde-8f01-23456789abcd';

interface Held {
  readonly parts: readonly string[];
  readonly info: { readonly agentVersion: string | null; readonly storage: object | null } | null;
  readonly health: { readonly memoryTotalBytes: number; readonly uptimeS: number } | null;
}
interface Happened {
  readonly kind: string;
}
interface Snapshot {
  readonly snapshotId: string;
}

const heldOf = (id: string) => house.ask<Held>('GET', `/api/devices/${id}/info`);
const eventsOf = async (id: string) =>
  (await house.ask<{ events: Happened[] }>('GET', `/api/devices/${id}/events`)).events;

t.test('information, health, a loss of power and a snapshot reach the owner', async (t) => {
  const camera = await house.addDevice('telling');
  await house.grant(camera.id, 'video', 'snapshot', 'device_info');
  const first = startAgent(t, camera, { source: PICTURE, audio: 'none' });
  await eventually('both are told', async () => {
    const { info, health } = await heldOf(camera.id);
    return info !== null && health !== null;
  });
  const { info, health } = await heldOf(camera.id);
  const { version } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  t.equal(info?.agentVersion, version);
  t.not(info?.storage, null);
  t.ok((health?.memoryTotalBytes ?? 0) > 0);
  t.same(await eventsOf(camera.id), [], 'a first start is no loss of power');

  await eventually('it records', async () => (await house.device(camera.id)).segments > 0);
  const path = `/api/devices/${camera.id}/snapshots`;
  await house.ask('POST', path);
  const { snapshots } = await house.ask<{ snapshots: Snapshot[] }>('GET', path);
  t.equal(snapshots.length, 1);
  const picture = await house.fetch('GET', `${path}/${snapshots[0]?.snapshotId}`);
  const jpeg = Buffer.from(await picture.arrayBuffer());
  t.equal(jpeg.subarray(0, 3).toString('hex'), 'ffd8ff', 'a JPEG');

  await first.kill('SIGKILL');
  const note = join(stateOf(camera), 'running');
  t.match(readFileSync(note, 'utf8'), /^[0-9a-f-]{36}$/);
  writeFileSync(note, EARLIER_BOOT);
  const second = startAgent(t, camera, { source: PICTURE, audio: 'none' });
  await eventually('the loss of power is told', async () => (await eventsOf(camera.id)).length > 0);
  t.match(await eventsOf(camera.id), [{ kind: 'power_restored' }]);

  await house.withdraw(camera.id, 'device_info');
  t.match(await heldOf(camera.id), { info: null, health: null });
  t.same(await eventsOf(camera.id), [], 'nor that');

  await second.kill('SIGKILL');
  writeFileSync(note, EARLIER_BOOT);
  const third = startAgent(t, camera, { source: PICTURE, audio: 'none' });
  const { segments } = await house.device(camera.id);
  await eventually('it records', async () => (await house.device(camera.id)).segments > segments);
  t.match(await heldOf(camera.id), { info: null, health: null }, 'without consent nothing is told');
  t.same(await eventsOf(camera.id), []);
  t.notMatch(third.err, /power_restored/);
  t.equal(await third.kill('SIGTERM'), 0);
});

t.test('without any consent a real camera leaves nothing but its name and times', async (t) => {
  const camera = await house.addDevice('closed');
  const agent = startAgent(t, camera, { source: PICTURE, audio: 'none' });
  const isThere = async (): Promise<boolean> => {
    const { connected, appliedEpoch } = await house.device(camera.id);
    return connected && appliedEpoch > 0;
  };
  await eventually('it is there, and says that it obeys', isThere);
  t.equal(await agent.kill('SIGTERM'), 0);
  const isGone = async (): Promise<boolean> => {
    const { connected, lastSeenAt } = await house.device(camera.id);
    return !connected && lastSeenAt !== null;
  };
  await eventually('it is gone, and when is noted', isGone);
  const known = await house.inside(({ store }) => knownOf(store.index, camera.id));
  t.same(known, [...IDENTITY].sort());
});
