// Devices at the gate: two boards with one certificate, the ends of a right to be here, renewal.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import t from 'tap';
import { makeRequest } from '../../../agent/identity/csr.ts';
import { openInstallation } from '../../../broker/installation.ts';
import { suspendDevice } from '../../../broker/operator/devices.ts';
import { encodeAnchor } from '../../../proto/anchor.ts';
import { encodeHealth } from '../../../proto/health.ts';
import type { IdentityBundle } from '../../../proto/identity.ts';
import { encodeInfo } from '../../../proto/info.ts';
import { encodeReleased, verifyRelease } from '../../../proto/release.ts';
import { encodeRenewal } from '../../../proto/renewal.ts';
import { encodeCommand } from '../../../proto/snapshot.ts';
import { downTopic } from '../../../proto/topics.ts';
import { encodeApplied } from '../../../proto/verdict.ts';
import {
  type Answer,
  connectPacket,
  newInstance,
  Run,
  TestDevice,
  tls,
  Witness,
} from '../../e2e/device.ts';
import { eventually } from '../../e2e/processes.ts';
import { healthOf, infoOf } from '../../proto/tellings.ts';
import { Gate, newKey, OWNER } from './gate.ts';

t.setTimeout(180_000);

/** CONNECT by one run of an agent. */
async function connect(bundle: IdentityBundle, instance = newInstance()): Promise<TestDevice> {
  const packet = connectPacket(bundle.deviceId, instance);
  const device = await TestDevice.tryConnect(bundle, { packet });
  if (device.connack !== 0) await device.closed;
  return device;
}

/** Milliseconds until the server ends the connection. */
async function cutAfter(device: TestDevice, act: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await act();
  await device.closed;
  return performance.now() - startMs;
}

t.test('two boards with one certificate are both stopped, and nobody else is', async (t) => {
  const gate = await Gate.open(t);
  const [camera, other] = [await gate.add('camera'), await gate.add('other')];
  await gate.grant(camera.deviceId, 'video');
  await gate.grant(other.deviceId, 'video');
  const witness = await Witness.begin(other);
  const [a, b] = [newInstance(), newInstance()];
  const first = await connect(camera, a);
  const second = await connect(camera, b);
  t.equal(second.connack, 0, 'a later run of the agent takes over');
  await first.closed;
  const back = await connect(camera, a);
  t.equal(back.connack, 5, 'the earlier one comes back: a clone');
  await second.closed;
  for (const instance of [a, b, newInstance()])
    t.equal((await connect(camera, instance)).connack, 5, 'neither gets in any more');
  t.match(await gate.row(camera.deviceId), { state: 'suspended', state_reason: 'clone' });
  const { event, scopes } = await gate.installation.consent.current(camera.deviceId);
  t.match({ event, scopes }, { event: 'SUSPENDED', scopes: { length: 0 } });
  t.ok(await witness.goesOn(), 'the other device goes on');
  t.match(gate.broker.figures(), { connections: { device: 1 }, refusals: { clone: 1 } });
});

t.test('one board that reconnects, or restarts, is no clone', async (t) => {
  const gate = await Gate.open(t);
  const camera = await gate.add('camera');
  const instance = newInstance();
  for (let i = 0; i < 50; i++) {
    const device = await connect(camera, instance);
    t.equal(device.connack, 0);
    if (i % 2 === 0) await device.close();
  }
  for (let i = 0; i < 20; i++) t.equal((await connect(camera)).connack, 0, 'a new run');
  t.match(await gate.row(camera.deviceId), { state: 'claimed' });
});

t.test('revocation and suspension end an open connection within a second', async (t) => {
  const gate = await Gate.open(t);
  const { lifecycle, folder } = gate.installation;
  const [lost, odd] = [await gate.add('lost'), await gate.add('odd')];
  const device = await TestDevice.connect(lost);
  const session = await resumable(lost);
  const revoked = await cutAfter(device, async () =>
    lifecycle.revoke(await gate.row(lost.deviceId), OWNER),
  );
  t.ok(revoked < 1000, `revoked by its owner: ${Math.round(revoked)} ms`);
  const over = { session, key: undefined, cert: undefined };
  const resumed = await TestDevice.tryConnect(lost, { over });
  await resumed.closed;
  t.equal(resumed.connack, 5, 'a TLS session from before does not help');

  // By another process: it changes the index, and the server sees that it was changed.
  const operator = await openInstallation(folder, gate.config);
  t.teardown(() => operator.store.close());
  const suspended = await cutAfter(await TestDevice.connect(odd), async () => {
    await suspendDevice(operator, odd.deviceId);
    await gate.broker.recheckAll();
  });
  t.ok(suspended < 1000, `suspended by the operator: ${Math.round(suspended)} ms`);
  t.equal((await connect(odd)).connack, 5);
  await operator.lifecycle.resume(await gate.row(odd.deviceId));
  t.equal((await connect(odd)).connack, 0, 'it was resumed');
});

t.test('a device that is released hears it at once, says goodbye, and is out', async (t) => {
  const gate = await Gate.open(t);
  const { lifecycle, consentPublicKey } = gate.installation;
  const camera = await gate.add('camera');
  const id = camera.deviceId;
  const epoch = await gate.grant(id, 'video');
  const device = await TestDevice.connect(camera);
  const run = new Run(epoch);
  t.match(await device.publish('stream', run.streamPayload), {
    outcome: 'acked',
    codes: { length: 0 },
  });
  await lifecycle.release(await gate.row(id), 'keep', OWNER);
  await eventually('it hears it', () => device.said.at(-1)?.kind === 'release');
  const said = device.said.at(-1);
  if (said?.kind !== 'release') throw new Error('no release');
  t.equal(verifyRelease(said.payload, consentPublicKey, id).deviceId, id);

  const late = await device.publish('segment', run.next().payload);
  t.match(late, { outcome: 'acked', verdicts: [{ code: 'CONSENT_MISSING', erase: true }] });
  const applied = encodeApplied({ epoch, atUs: 1 });
  t.match(await device.publish('applied', applied), { outcome: 'acked', codes: { length: 0 } });
  t.match(await gate.row(id), { applied_epoch: 0 }, 'nothing else of it is taken');
  const renewal = await device.publish('renewal', encodeRenewal(makeRequest(newKey())));
  t.match(renewals(renewal), [{ renewed: { code: 'STATE_INVALID' } }]);
  t.notOk(device.isClosed);

  t.match(await device.publish('released', encodeReleased('ordered')), { outcome: 'acked' });
  t.ok((await gate.row(id)).released_at_us, 'it is noted');
  await device.closed;
  t.equal((await connect(camera)).connack, 5, 'its certificate has ended');
});

t.test('a command reaches the one device that it is for, while it is connected', async (t) => {
  const gate = await Gate.open(t);
  const [camera, other] = [await gate.add('camera'), await gate.add('other')];
  const id = camera.deviceId;
  await gate.grant(id, 'video');
  const command = { commandId: newInstance(), kind: 'take_snapshot' } as const;
  const payload = encodeCommand(command);
  t.notOk(await gate.broker.command(id, payload), 'it is not connected');
  const device = await TestDevice.connect(camera);
  const stranger = await TestDevice.connect(other);
  t.ok(await gate.broker.command(id, payload));
  const heard = ({ said }: TestDevice) => said.filter(({ kind }) => kind === 'command');
  await eventually('it hears it', () => heard(device).length === 1);
  t.same(heard(device), [{ kind: 'command', command }]);
  t.same(heard(stranger), []);
  await gate.installation.lifecycle.release(await gate.row(id), 'keep', OWNER);
  await eventually('it is released', () => gate.broker.figures().connections.farewell === 1);
  t.notOk(await gate.broker.command(id, payload), 'nor is a released one asked');
});

t.test('a device that was away when it was released hears it when it comes', async (t) => {
  const gate = await Gate.open(t);
  const camera = await gate.add('camera');
  const id = camera.deviceId;
  await TestDevice.connect(camera).then((device) => device.close());
  await gate.installation.lifecycle.release(await gate.row(id), 'keep', OWNER);
  const device = await connect(camera);
  t.equal(device.connack, 0);
  await device.subscribe(downTopic(id, 'grant'), downTopic(id, 'verdict'));
  t.match(gate.broker.figures().connections, { farewell: 1, device: 0 });
  await device.subscribe(downTopic(id, 'release'));
  await eventually('it hears it', () => device.said.some(({ kind }) => kind === 'release'));
  t.notOk(
    device.said.some(({ kind }) => kind === 'grant'),
    'and no grant',
  );
  t.match(await device.publish('released', encodeReleased('ordered')), { outcome: 'acked' });
  await device.closed;
});

t.test('a board that was reset ends the ownership by itself', async (t) => {
  const gate = await Gate.open(t);
  const camera = await gate.add('camera');
  await gate.grant(camera.deviceId, 'video');
  const device = await TestDevice.connect(camera);
  t.match(await device.publish('released', Buffer.from([8, 9])), { outcome: 'closed' }, 'garbage');
  const again = await TestDevice.connect(camera);
  t.match(await again.publish('released', encodeReleased('reset')), { outcome: 'acked' });
  await again.closed;
  t.match(await gate.row(camera.deviceId), { state: 'released' });
  t.ok((await gate.row(camera.deviceId)).released_at_us);
  t.match(await gate.installation.consent.current(camera.deviceId), { actor: 'device' });
});

t.test(
  'a certificate is renewed before the PUBACK, and the old one ends with its use',
  async (t) => {
    const gate = await Gate.open(t, { certificates: { deviceLifeS: 10 } });
    const camera = await gate.add('camera');
    const device = await TestDevice.connect(camera);
    const key = newKey();
    const csr = encodeRenewal(makeRequest(key));
    const early = await device.publish('renewal', csr);
    t.match(renewals(early), [{ renewed: { code: 'RATE_LIMITED' } }], 'too early');
    const bad = await device.publish('renewal', encodeRenewal(Buffer.from('no request')));
    t.match(renewals(bad), [{ renewed: { code: 'CSR_INVALID' } }]);
    const empty = await device.publish('renewal', Buffer.alloc(0));
    t.match(renewals(empty), [{ renewed: { code: 'DECODE_INVALID' } }]);

    let renewed = '';
    await eventually('it is time', async () => {
      const [said] = renewals(await device.publish('renewal', csr));
      if (said?.renewed.kind === 'issued') renewed = said.renewed.certificate;
      return renewed !== '';
    });
    const again = await device.publish('renewal', csr);
    t.match(
      renewals(again),
      [{ renewed: { certificate: renewed } }],
      'the same key, the same answer',
    );
    t.equal((await connect(camera)).connack, 0, 'the old one holds until the new one was used');
    const privateKey = key.export({ type: 'pkcs8', format: 'pem' }).toString();
    const fresh = await TestDevice.connect({ ...camera, certificate: renewed, privateKey });
    t.match(await gate.row(camera.deviceId), { state: 'claimed' });
    t.equal((await connect(camera)).connack, 5, 'then it is void');
    await fresh.closed;
    t.match(
      await gate.row(camera.deviceId),
      { state: 'suspended', state_reason: 'clone' },
      'and who comes with it is a second board, whichever of them renewed',
    );
  },
);

t.test('a run that died before it was judged is not taken for a second board', async (t) => {
  const gate = await Gate.open(t);
  const camera = await gate.add('camera');
  const { certificates } = gate.installation.store;
  const presented = certificates.presented.bind(certificates);
  const judged = Promise.withResolvers<void>();
  const looks: Promise<void>[] = [judged.promise];
  // An index that is slow for the first look, as in a storm.
  certificates.presented = async (serial) => {
    await looks.pop();
    return presented(serial);
  };
  const dead = new TestDevice(tls(camera), camera.deviceId);
  await once(dead.socket, 'secureConnect');
  dead.send(connectPacket(camera.deviceId));
  await eventually('it is being judged', () => looks.length === 0);
  await dead.close();
  const instance = newInstance();
  const packet = connectPacket(camera.deviceId, instance);
  const young = await TestDevice.tryConnect(camera, { packet });
  t.equal(young.connack, 0);
  judged.resolve();
  await young.close();
  const again = await TestDevice.tryConnect(camera, { packet });
  t.equal(again.connack, 0, 'the run after it is let in again');
  t.match(await gate.row(camera.deviceId), { state: 'claimed' });
});

t.test('device information is stored only under its consent', async (t) => {
  const gate = await Gate.open(t);
  const camera = await gate.add('camera');
  const id = camera.deviceId;
  const before = await gate.grant(id, 'video');
  const device = await TestDevice.connect(camera);
  const told = async (): Promise<string | null> =>
    (await gate.installation.store.told.of(await gate.row(id))).info?.message.agentVersion ?? null;
  const info = (epoch: number) => encodeInfo(infoOf(epoch));
  t.match(await device.publish('info', info(before)), { outcome: 'acked', codes: { length: 0 } });
  t.equal(await told(), null);
  const epoch = await gate.grant(id, 'device_info');
  await device.publish('info', info(before));
  t.equal(await told(), null, 'not what was sent before');
  await device.publish('info', info(epoch + 1));
  t.equal(await told(), null, 'nor under what is yet to come');
  await device.publish('info', info(epoch));
  t.equal(await told(), '1.2.3');
  await gate.installation.consent.withdraw(await gate.row(id), ['device_info'], OWNER);
  t.equal(await told(), null, 'withdrawn, it is gone');
  t.match(await device.publish('info', Buffer.from('garbage')), { outcome: 'closed' });
});

t.test(
  'how a camera is is stored only under its consent, which wall time it is always',
  async (t) => {
    const gate = await Gate.open(t);
    const camera = await gate.add('camera');
    const id = camera.deviceId;
    const epoch = await gate.grant(id, 'video');
    const device = await TestDevice.connect(camera);
    const spool = { state: 'memory_only', code: 'STORE_FAILED', items: 3, bytes: 2048 } as const;
    const health = (of: number) => encodeHealth(healthOf(of, { spool }));
    const told = async () =>
      (await gate.installation.store.told.of(await gate.row(id))).health?.message ?? null;
    t.match(await device.publish('health', health(epoch)), { outcome: 'acked' });
    t.equal(await told(), null);
    const granted = await gate.grant(id, 'device_info');
    await device.publish('health', health(granted));
    t.same(await told(), healthOf(granted, { spool }));
    await gate.installation.consent.withdraw(await gate.row(id), ['device_info'], OWNER);
    t.equal(await told(), null);
    const bootId = randomUUID();
    const anchor = { bootId, atUs: 1, monoUs: 1_000_000, estimated: true };
    const before = Date.now() * 1000;
    t.match(await device.publish('anchor', encodeAnchor(anchor)), {
      outcome: 'acked',
      codes: { length: 0 },
    });
    const { index } = gate.installation.store;
    const [kept] = await index.selectFrom('anchors').selectAll().execute();
    t.match(kept, { device_id: id, boot_id: bootId, source: 'server' });
    t.ok(Math.abs((kept?.offset_us ?? 0) + anchor.monoUs - before) < 5_000_000);
    t.match(await device.publish('anchor', Buffer.from('garbage')), { outcome: 'closed' });
  },
);

/** What was said of certificates before an acknowledgement; a grant may come in between. */
function renewals({ before }: Answer) {
  return before.filter((said) => said.kind === 'certificate');
}

/** A TLS session that was good when it was made. */
async function resumable(bundle: IdentityBundle): Promise<Buffer> {
  const socket = tls(bundle);
  const [session] = await once(socket, 'session', { signal: AbortSignal.timeout(5000) });
  const again = tls(bundle, { session, key: undefined, cert: undefined });
  await once(again, 'secureConnect');
  if (!again.isSessionReused()) throw new Error('this test needs resumption');
  again.destroy();
  socket.destroy();
  return session;
}
