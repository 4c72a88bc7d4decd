// What devices are told of their configuration, and what a rollout makes of their answers, at the gate
// of a real installation: on each connect, on each change, by another process, after a restart.
import { createPublicKey } from 'node:crypto';
import { pino } from 'pino';
import t from 'tap';
import { openInstallation } from '../../../broker/installation.ts';
import { makeRollouts } from '../../../broker/serve.ts';
import {
  type DesiredConfig,
  encodeReported,
  type Reported,
  verifyDesiredConfig,
} from '../../../proto/desired-config.ts';
import type { IdentityBundle } from '../../../proto/identity.ts';
import { TestDevice } from '../../e2e/device.ts';
import { eventually } from '../../e2e/processes.ts';
import { reportedOf } from '../../proto/tellings.ts';
import { Gate, OWNER } from './gate.ts';

t.setTimeout(180_000);

/** Every configuration that a device was told, in order. */
function toldTo(device: TestDevice, { consentKey, deviceId }: IdentityBundle): DesiredConfig[] {
  const key = createPublicKey(consentKey);
  return device.said.flatMap((said) =>
    said.kind === 'config' ? verifyDesiredConfig(said.payload, key, deviceId) : [],
  );
}

async function change(gate: Gate, deviceId: string, seen: number, bitrateKbps: number) {
  const patch = { video: { bitrateKbps } };
  const { configuration } = gate.installation;
  return configuration.update(await gate.row(deviceId), { patch, seen }, OWNER);
}

/** Carries rollouts out until the returned function is called. */
function engineOf(gate: Gate): () => Promise<void> {
  const end = new AbortController();
  const running = makeRollouts(gate.installation, pino({ level: 'silent' })).run(end.signal);
  return async () => {
    end.abort();
    await running;
  };
}

async function statesOf(gate: Gate, id: number): Promise<Record<string, string>> {
  const { devices } = await gate.installation.rollouts.show(id);
  return Object.fromEntries(devices.map(({ device_id, state }) => [device_id, state]));
}

const START = { stages: '100%', stopPercent: 50, waitS: 60, settleS: 0, actor: 'test' };

function say(device: TestDevice, epoch: number, over: Partial<Reported>) {
  return device.publish('reported', encodeReported(reportedOf(epoch, over)));
}

t.test('a device hears what is wanted on each connect and on each change, once', async (t) => {
  const gate = await Gate.open(t);
  const camera = await gate.add('camera');
  const other = await TestDevice.connect(await gate.add('other'));
  const first = await TestDevice.connect(camera);
  await eventually('the grant', () => first.said.some(({ kind }) => kind === 'grant'));
  t.equal(toldTo(first, camera).length, 0, 'nothing was ever wanted');
  await change(gate, camera.deviceId, 0, 900);
  await change(gate, camera.deviceId, 1, 1000);
  const versions = () => toldTo(first, camera).map(({ version }) => version);
  await eventually('it hears the last one', () => versions().includes(2));
  t.match(toldTo(first, camera).at(-1), { document: '{"video":{"bitrateKbps":1000}}' });
  const before = versions().length;
  await gate.broker.recheck(camera.deviceId);
  t.equal(versions().length, before, 'not again when its grant is');
  await first.close();
  const again = await TestDevice.connect(camera);
  await eventually('the whole of it', () => toldTo(again, camera).length > 0);
  t.same(
    toldTo(again, camera).map(({ version }) => version),
    [2],
  );
  t.notOk(
    other.said.some(({ kind }) => kind === 'config'),
    'nobody else hears it',
  );
});

t.test('a change by another process is heard', async (t) => {
  const gate = await Gate.open(t);
  const camera = await gate.add('camera');
  const device = await TestDevice.connect(camera);
  await eventually('the grant', () => device.said.some(({ kind }) => kind === 'grant'));
  const operator = await openInstallation(gate.installation.folder, gate.config);
  t.teardown(() => operator.store.close());
  const patch = { video: { bitrateKbps: 900 } };
  await operator.configuration.update(await gate.row(camera.deviceId), { patch, seen: 0 }, OWNER);
  await gate.broker.recheckAll();
  await eventually('it hears it', () => toldTo(device, camera).length === 1);
});

t.test('a document that does not open is told to nobody, and the device stays', async (t) => {
  const gate = await Gate.open(t);
  const camera = await gate.add('camera');
  await change(gate, camera.deviceId, 0, 900);
  await gate.installation.store.index
    .updateTable('config_versions')
    .set({ sealed: Buffer.from('damaged') })
    .execute();
  const device = await TestDevice.connect(camera);
  await gate.says('its configuration was not told');
  t.ok(device.said.some(({ kind }) => kind === 'grant'));
  t.notOk(device.isClosed);
});

t.test('a rollout goes on after a restart, with what was answered meanwhile', async (t) => {
  const gate = await Gate.open(t);
  const { installation } = gate;
  const bundles = [await gate.add('one'), await gate.add('two'), await gate.add('three')];
  const epochs = new Map<string, number>();
  for (const { deviceId } of bundles) {
    await installation.rollouts.label(deviceId, ['site=north']);
    epochs.set(deviceId, await gate.grant(deviceId, 'device_info'));
  }
  const devices = await Promise.all(bundles.map((bundle) => TestDevice.connect(bundle)));
  const request = { ...START, stages: '1,100%', labels: ['site=north'] };
  const patch = { uplink: { maxKbps: 500 } };
  const id = await installation.rollouts.start({ ...request, patch });
  const stop = engineOf(gate);
  const firstOf = async () => (await installation.rollouts.show(id)).devices[0]?.device_id ?? '';
  const first = await firstOf();
  const device = devices.find((one) => one.id === first);
  if (!device) throw new Error('no such device');
  await eventually('the first stage', () => device.said.some(({ kind }) => kind === 'config'));
  await stop();
  await say(device, epochs.get(first) ?? 0, { version: 1, state: 'applied', inForce: 1 });
  t.equal((await statesOf(gate, id))[first], 'sent', 'nobody was there to note it');
  const end = engineOf(gate);
  for (const one of devices.filter(({ id: deviceId }) => deviceId !== first)) {
    await eventually('the second stage', () => one.said.some(({ kind }) => kind === 'config'));
    await say(one, epochs.get(one.id) ?? 0, { version: 1, state: 'applied', inForce: 1 });
  }
  await eventually(
    'its end',
    async () => (await installation.rollouts.show(id)).row.state === 'done',
  );
  t.same(new Set(Object.values(await statesOf(gate, id))), new Set(['applied']));
  await end();
});
