// Who may connect, publish and subscribe: a real server against devices that try what they may not.
// After each attempt nothing is stored of it, and another device goes on publishing.
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import t, { type Test } from 'tap';
import { Authority } from '../../broker/fleet/authority.ts';
import { downTopic, upTopic } from '../../proto/topics.ts';
import { makeAuthority, makePair } from '../agent/uplink/pki.ts';
import { connectPacket, Run, TestDevice, tls, Witness } from './device.ts';
import { House } from './house.ts';
import { eventually } from './processes.ts';

t.setTimeout(120_000);
/** Long enough to connect with on a loaded machine. */
const SHORT_LIFE_S = 6;
const DAY_S = 86_400;
const house = await House.open(t);
const thief = await house.addDevice('thief');
const victim = await house.addDevice('victim');
const thiefEpoch = await house.grant(thief.id, 'video', 'audio');
await house.grant(victim.id, 'video');
const witness = await Witness.begin(victim.bundle);

/** A test after which the rest goes on as if nothing had been. */
function attempt(name: string, act: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    await act(t);
    t.ok(await witness.goesOn(), 'the other device goes on');
    t.equal(
      (await house.device(victim.id)).segments,
      witness.stored,
      'nothing else of it is stored',
    );
    t.equal((await house.device(thief.id)).segments, 0, 'nothing of the thief is stored');
  });
}

/** A message that would be stored if it came by the right way. */
function good(): { stream: Uint8Array; segment: Buffer } {
  const run = new Run(thiefEpoch);
  return { stream: run.streamPayload, segment: run.next().payload };
}

attempt('a device that publishes under a topic that is not its own is cut off', async (t) => {
  const { stream, segment } = good();
  const topics = [
    upTopic(victim.id, 'segment'),
    upTopic(victim.id, 'stream'),
    downTopic(victim.id, 'grant'),
    downTopic(thief.id, 'grant'),
    `lenscap/1/${thief.id}/up/segment/`,
    `lenscap/1/${thief.id}/up/live`,
    `lenscap/2/${thief.id}/up/segment`,
    `lenscap/1/../up/segment`,
    'lenscap/1/__proto__/up/segment',
    `$SYS/${victim.id}/new/clients`,
    `$share/g/lenscap/1/${victim.id}/up/segment`,
    `${'a/'.repeat(200)}a`,
  ];
  for (const topic of topics) {
    const device = await TestDevice.connect(thief.bundle);
    const payload = topic.endsWith('stream') ? stream : segment;
    t.match(
      await device.publishTo(topic, payload),
      { outcome: 'closed', codes: { length: 0 } },
      topic.slice(0, 60),
    );
  }
  await house.server.says(new RegExp(`"deviceId":"${thief.id}"[^\\n]*may not publish`));
});

attempt('QoS 0, QoS 2 and retained messages on an up topic are refused', async (t) => {
  const { stream } = good();
  const topic = upTopic(thief.id, 'stream');
  for (const how of [{ qos: 0 }, { qos: 2 }, { retain: true }] as const) {
    const device = await TestDevice.connect(thief.bundle);
    t.match(await device.publishTo(topic, stream, how), { outcome: 'closed' }, JSON.stringify(how));
  }
});

attempt('a will is refused with its CONNECT, on every topic', async (t) => {
  for (const topic of [upTopic(victim.id, 'segment'), upTopic(thief.id, 'segment'), '$SYS/x']) {
    const will = { topic, payload: good().segment, qos: 1, retain: true } as const;
    const packet = { ...connectPacket(thief.id), will };
    const device = await TestDevice.tryConnect(thief.bundle, { packet });
    await device.closed;
    t.not(device.connack, 0, topic);
  }
});

attempt('subscriptions to anything but its own down topics get SUBACK 0x80', async (t) => {
  const device = await TestDevice.connect(thief.bundle);
  const filters = [
    '#',
    '+',
    '$SYS/#',
    '$share/g/#',
    `$share/g/${downTopic(thief.id, 'verdict')}`,
    'lenscap/#',
    'lenscap/1/+/up/segment',
    `lenscap/1/${thief.id}/#`,
    `lenscap/1/${thief.id}/down/+`,
    `lenscap/1/${thief.id}/up/segment`,
    downTopic(victim.id, 'verdict'),
    downTopic(victim.id, 'grant'),
    upTopic(victim.id, 'segment'),
  ];
  for (const filter of filters) t.strictSame(await device.subscribe(filter), [0x80], filter);
  t.strictSame(await device.subscribe(downTopic(thief.id, 'verdict')), [1], 'its own');
  await witness.goesOn();
  t.notOk(
    device.said.some((said) => said.kind === 'verdict'),
    'it hears nothing of the other',
  );
  await device.close();
});

attempt('a client id that is not the name in the certificate gets CONNACK 2', async (t) => {
  for (const clientId of [victim.id, '', '__proto__', `${thief.id} `, 'x'.repeat(300)]) {
    const packet = connectPacket(clientId);
    const device = await TestDevice.tryConnect(thief.bundle, { packet });
    await device.closed;
    t.ok(device.connack === 2 || device.connack === undefined, `"${clientId}": ${device.connack}`);
  }
  t.notOk(witness.device.isClosed, 'the device of that name stays connected');
});

attempt('certificates of another authority, self-made ones and none are refused', async (t) => {
  const authority = await makeAuthority('another');
  const forged = await makePair(authority, thief.id);
  const certificates = [
    { cert: forged.certificate, key: forged.privateKey },
    { cert: `${forged.certificate}\n${authority.pem}`, key: forged.privateKey },
    { cert: undefined, key: undefined },
  ];
  for (const over of certificates) {
    const device = await TestDevice.tryConnect(thief.bundle, { over });
    await device.closed;
    t.equal(device.connack, 5);
  }
  await house.server.says('no certificate of this authority');
});

attempt('a certificate counts by its fingerprint, not by its serial number', async (t) => {
  const authority = await Authority.open(join(house.folder, 'ca'), Date.now, false);
  const other = await certified(authority, thief.id, DAY_S);
  const fingerprint = 'ab'.repeat(32);
  await house.inside(({ store }) => store.certificates.add({ ...other.row, fingerprint }));
  const over = { cert: other.row.pem, key: other.privateKey };
  const device = await TestDevice.tryConnect(thief.bundle, { over });
  await device.closed;
  t.equal(device.connack, 5);
  await house.server.says(other.row.serial);
});

attempt('a user name that is not the id of an instance gets CONNACK 4', async (t) => {
  const names = ['', 'x', thief.id, 'A'.repeat(32), 'a'.repeat(33), '\u0430'.repeat(32)];
  for (const username of names) {
    const packet = connectPacket(thief.id, username);
    const device = await TestDevice.tryConnect(thief.bundle, { packet });
    await device.closed;
    t.equal(device.connack, 4, JSON.stringify(username));
  }
});

attempt('the server speaks TLS 1.3 only, and is who the bundle says', async (t) => {
  const old = tls(thief.bundle, { maxVersion: 'TLSv1.2' });
  const [error] = await once(old, 'error');
  t.match(String(error), /alert protocol version|unsupported protocol/i);
  const device = await TestDevice.connect(thief.bundle);
  t.equal(device.socket.getProtocol(), 'TLSv1.3');
  t.ok(device.socket.authorized);
  await device.close();
});

attempt('an expired certificate is refused, and ends a connection that outlives it', async (t) => {
  const mortal = await house.addDevice('mortal');
  const folder = join(house.folder, 'ca');
  const before = (): number => Date.now() - 2 * DAY_S * 1000;
  const past = await Authority.open(folder, before, false);
  const dead = await certified(past, mortal.id, DAY_S);
  await house.inside(({ store }) => store.certificates.add(dead.row));
  const over = { cert: dead.row.pem, key: dead.privateKey };
  const device = await TestDevice.tryConnect(mortal.bundle, { over });
  await device.closed;
  t.equal(device.connack, 5);

  const now = await Authority.open(folder, Date.now, false);
  const short = await certified(now, mortal.id, SHORT_LIFE_S);
  await house.inside(({ store }) => store.certificates.add(short.row));
  const dying = await TestDevice.connect(mortal.bundle, {
    cert: short.row.pem,
    key: short.privateKey,
  });
  const deadlineMs = (SHORT_LIFE_S + 5) * 1000;
  await eventually('it is cut off when it ends', () => dying.isClosed, deadlineMs);
  t.ok(Date.now() * 1000 >= short.row.not_after_us, 'and not before');
});

attempt('a certificate that the server did not record is refused', async (t) => {
  const authority = await Authority.open(join(house.folder, 'ca'), Date.now, false);
  for (const name of [thief.id, 'cam-aaaaaaaaaaaaaaaa', 'localhost']) {
    const { row, privateKey } = await certified(authority, name, DAY_S);
    const over = { cert: row.pem, key: privateKey };
    const device = await TestDevice.tryConnect(thief.bundle, { over, packet: connectPacket(name) });
    await device.closed;
    t.equal(device.connack, 5, name);
  }
  const server = await authority.server(['localhost']);
  const device = await TestDevice.tryConnect(thief.bundle, { over: server });
  await device.closed;
  t.not(device.connack, 0, "the server's own certificate");
});

attempt(
  'a revoked device is cut off within a second, and stays out with a resumed session too',
  async (t) => {
    const lost = await house.addDevice('lost');
    const epoch = await house.grant(lost.id, 'video');
    const device = await TestDevice.connect(lost.bundle);
    const session = await resumable(lost.bundle);
    const run = new Run(epoch);
    t.match(await device.publish('stream', run.streamPayload), {
      outcome: 'acked',
      codes: { length: 0 },
    });
    await house.revoke(lost.id);
    const startMs = performance.now();
    await eventually('it is cut off', () => device.isClosed, 3000);
    t.ok(performance.now() - startMs < 1000, 'within a second');
    const again = await TestDevice.tryConnect(lost.bundle);
    await again.closed;
    t.equal(again.connack, 5, 'CONNACK 5');
    const over = { session, key: undefined, cert: undefined };
    const resumed = await TestDevice.tryConnect(lost.bundle, { over });
    await resumed.closed;
    t.not(resumed.connack, 0, 'a ticket from before does not help');
    t.equal((await house.device(lost.id)).segments, 0);
  },
);

/** A certificate of the server's authority with its key, and the row that would make it known. */
async function certified(authority: Authority, deviceId: string, lifeS: number) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const made = await authority.certify(deviceId, publicKey, lifeS);
  const row = {
    serial: made.serial,
    device_id: deviceId,
    fingerprint: made.fingerprint,
    key_sha256: made.keySha256,
    pem: made.certificate,
    issued_at_us: made.issuedAtUs,
    not_after_us: made.notAfterUs,
    used_at_us: null,
    revoked_at_us: null,
  };
  return { row, privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** A TLS session that was good when it was made. */
async function resumable(bundle: Parameters<typeof tls>[0]): Promise<Buffer> {
  const socket = tls(bundle);
  const [session] = await once(socket, 'session', { signal: AbortSignal.timeout(5000) });
  const again = tlsConnect({
    host: '127.0.0.1',
    servername: 'localhost',
    port: bundle.server.port,
    ca: bundle.ca,
    session,
  });
  await once(again, 'secureConnect');
  if (!again.isSessionReused()) throw new Error('this test needs resumption');
  again.destroy();
  socket.destroy();
  return session;
}

t.test('nothing of all this left a trace in the store but the false row', async (t) => {
  const { faults, leftOver, segments } = await house.verify();
  t.equal(faults.length, 1);
  t.match(faults[0], /has another fingerprint/);
  t.same(leftOver, []);
  t.equal(segments, witness.stored);
});
