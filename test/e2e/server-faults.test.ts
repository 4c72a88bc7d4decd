// The real server in trouble: ended in the midst of everything, on a slow disk, with its index locked,
// with a clock that jumps, fed with garbage. What it acknowledged is there, once; the rest comes again.
import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import mqttPacket from 'mqtt-packet';
import t, { type Test } from 'tap';
import { upTopic } from '../../proto/topics.ts';
import { FakedClock } from '../faked-clock.ts';
import { seeded } from '../seeded.ts';
import { connectPacket, type Packet, Run, tls, Witness } from './device.ts';
import { House } from './house.ts';
import { eventually, FILE_TIMEOUT_MS, rssBytes } from './processes.ts';
import { Sender } from './sender.ts';

const isLong = process.env.TORTURE !== undefined;
t.setTimeout(FILE_TIMEOUT_MS);
const random = seeded(t);
const house = await House.open(t);
const sender = await newSender('camera');

async function newSender(name: string): Promise<Sender> {
  const camera = await house.addDevice(name);
  await house.grant(camera.id, 'video');
  return new Sender(camera);
}

async function isSound(t: Test): Promise<void> {
  t.same(await sender.faults(house), [], 'acknowledged is stored, once, and nothing else');
}

t.test('ended with segments in flight, it has what it acknowledged; the rest comes', async (t) => {
  const rounds = isLong ? 20 : 1;
  const sending = sender.send(rounds * 2 * 30);
  for (let round = 0; round < rounds; round++)
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const { size } = sender.acked;
      const more = size + 4 + Math.floor(random() * 12);
      await eventually('some are acknowledged', () => sender.acked.size > more);
      const ended = await house.server.kill(signal);
      if (signal === 'SIGTERM') t.equal(ended, 0);
      await house.start();
      await isSound(t);
    }
  await sending;
  t.ok(sender.connections > rounds, `${sender.connections} connections`);
  await isSound(t);
  t.match(await house.check(), { faults: { length: 0 }, leftOver: { length: 0 } });
});

t.test('a disk on which each sync takes 200 ms: slower, and nothing else', async (t) => {
  await house.server.kill('SIGTERM');
  const slow = 'fdatasync,fsync';
  const inject = ['-e', `trace=${slow}`, '-e', `inject=${slow}:delay_exit=200000`];
  await house.start({
    under: ['strace', '-D', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', ...inject],
  });
  const startMs = performance.now();
  const { size } = sender.acked;
  await sender.send(12);
  const tookMs = performance.now() - startMs;
  t.ok(tookMs > 1000, `${Math.round(tookMs)} ms for 12 segments`);
  t.equal(sender.acked.size, size + 12);
  const epoch = await house.withdraw(sender.camera.id, 'audio');
  t.ok(epoch > 1, 'the owner is served as well');
  await isSound(t);
  t.equal(await house.server.kill('SIGTERM'), 0);
  await house.start();
});

t.test('an index that another process holds: it waits, or says so, and goes on', async (t) => {
  await sender.send(1);
  const { size } = sender.acked;
  const other = new DatabaseSync(join(house.folder, 'index.db'));
  other.exec('begin exclusive');
  const sending = sender.send(8);
  // Beyond ten seconds the server gives up waiting and says that it cannot store for now.
  await sleep(isLong ? 13_000 : 2500);
  t.equal(sender.acked.size, size, 'nothing is acknowledged meanwhile');
  other.exec('rollback');
  other.close();
  await sending;
  t.equal(sender.acked.size, size + 8);
  if (isLong) t.ok(sender.refusals.includes('STORE_LOCKED'));
  else t.same(sender.refusals, []);
  await isSound(t);
});

t.test('a clock that jumps by hours, back and forth, while it takes in', async (t) => {
  await house.server.kill('SIGTERM');
  const clock = new FakedClock(join(t.testdir(), 'clock'));
  const env = { ...clock.env, FAKETIME_NO_CACHE: '1' };
  await house.start({ env });
  await sender.send(2);
  const { connections } = sender;
  for (const aheadHours of [5, -3, 26, -1, 0]) {
    clock.set(aheadHours * 3600);
    await sender.send(6);
    await isSound(t);
  }
  t.equal(sender.connections, connections, 'on one connection all the time');
  const hours = new Set((await house.stored(sender.camera.id)).segments.map(hourOf));
  t.ok(hours.size >= 4, 'by when it was taken in: as the clock said');
  t.match(await house.check(), { faults: { length: 0 }, leftOver: { length: 0 } });
  t.equal(await house.server.kill('SIGTERM'), 0);
  await house.start();
  await sender.send(1);
});

const hourOf = ({ receivedAt }: { receivedAt: string }): string => receivedAt.slice(0, 13);

/** One packet of what a device may say, and what it may not. */
function said(id: string, run: Run): Buffer {
  const messageId = 1 + Math.floor(random() * 5);
  const segment = { cmd: 'publish', topic: upTopic(id, 'segment'), payload: run.next(300).payload };
  const kinds: Packet[] = [
    { ...segment, cmd: 'publish', qos: 1, messageId, dup: random() < 0.5, retain: false },
    { ...segment, cmd: 'publish', qos: 2, messageId, dup: false, retain: true },
    { cmd: 'subscribe', messageId, subscriptions: [{ topic: '#', qos: 1 }] },
    { cmd: 'unsubscribe', messageId, unsubscriptions: ['+/+', ''] },
    { cmd: 'puback', messageId },
    { cmd: 'pubrec', messageId },
    { cmd: 'pubrel', messageId },
    { cmd: 'pubcomp', messageId },
    { cmd: 'pingreq' },
    connectPacket(id),
    { cmd: 'disconnect' },
  ];
  const kind = kinds[Math.floor(random() * kinds.length)] ?? { cmd: 'pingreq' };
  return mqttPacket.generate(kind);
}

/** The same with a bit turned over, cut, repeated, or with noise in it. */
function spoilt(bytes: Buffer): Buffer {
  const at = Math.floor(random() * bytes.length);
  const turned = Buffer.from(bytes);
  turned.writeUInt8(turned.readUInt8(at) ^ (1 << Math.floor(random() * 8)), at);
  const ways = [
    turned,
    bytes.subarray(0, at),
    Buffer.concat([bytes, bytes]),
    Buffer.concat([bytes.subarray(0, at), randomBytes(1 + at), bytes.subarray(at)]),
    Buffer.from([Math.floor(random() * 256), 0]),
  ];
  return ways[Math.floor(random() * ways.length)] ?? bytes;
}

t.test('garbage from an admitted device reaches nobody else', async (t) => {
  const rogue = await newSender('rogue');
  await rogue.send(1);
  await rogue.close();
  const good = await newSender('good');
  const witness = await Witness.begin(good.camera.bundle);
  const before = rssBytes(house.server.pid);
  const { id, bundle } = rogue.camera;
  const run = new Run(1);
  const connections = isLong ? 1000 : 60;
  for (let connection = 0; connection < connections; connection++) {
    const socket = tls(bundle).resume();
    socket.write(mqttPacket.generate(connectPacket(id)));
    for (let packet = 0; packet < 12; packet++) {
      const bytes = said(id, run);
      socket.write(random() < 0.5 ? bytes : spoilt(bytes));
    }
    socket.end();
    if (connection % 10 === 0) t.ok(await witness.goesOn(), 'another device goes on');
    await eventually('it is closed', () => socket.destroyed);
  }
  t.notOk(house.server.hasEnded);
  const grownMb = (rssBytes(house.server.pid) - before) / 2 ** 20;
  t.ok(grownMb < 100, `memory grew by ${Math.round(grownMb)} MB`);
  t.same(await rogue.faults(house), [], 'nothing of it is stored');
  await rogue.send(1);
  t.match(await house.check(), { faults: { length: 0 } });
});

t.test('a repair wants the server stopped; a start mends what a crash left', async (t) => {
  const refused = await house.verb('verify', '--repair');
  t.equal(refused.code, 75);
  t.match(refused.err, /STORE_LOCKED.*stop it before a repair/);
  await house.server.kill('SIGKILL');
  const [object = ''] = objectsOf(house.folder);
  writeFileSync(object.replace(/[0-9a-f]{32}$/, 'ab'.repeat(16)), 'x');
  t.equal((await house.check()).leftOver.length, 1);
  await house.start();
  await house.server.says(/"removed":1.*without a row/);
  t.match(await house.check(), { faults: { length: 0 }, leftOver: { length: 0 } });
});

t.test('what is lost is named, left alone, and at last a gap that the owner sees', async (t) => {
  await house.server.kill('SIGTERM');
  const [object = ''] = objectsOf(house.folder);
  rmSync(object);
  const found = await house.verb('verify', '--repair');
  t.equal(found.code, 74);
  t.match(found.out, /^FAULT segment .* cannot be read$/m);
  t.match(found.out, /^to do about object_missing: restore it from a backup/m);
  const given = await house.verb('verify', '--repair', '--accept-loss', '--json');
  t.equal(given.code, 0);
  t.match(JSON.parse(given.out), {
    faults: { length: 0 },
    mended: [/^noted as lost: segment/],
    remedies: { length: 0 },
  });
  t.match(await house.check(), { faults: { length: 0 }, leftOver: { length: 0 } });
  await house.start();
  const { gaps } = await house.stored(sender.camera.id);
  t.match(gaps, [{ reason: 'store_lost', code: 'STORE_CORRUPT', durationUs: 100_000 }]);
});

function objectsOf(folder: string): string[] {
  const blobs = join(folder, 'blobs');
  return readdirSync(blobs).flatMap((hour) =>
    readdirSync(join(blobs, hour)).map((name) => join(blobs, hour, name)),
  );
}
