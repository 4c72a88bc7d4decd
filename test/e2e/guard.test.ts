// Connections that mean harm before and after they are accepted: each ends within its time, memory
// stays bounded, and a device that behaves goes on publishing.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import mqttPacket from 'mqtt-packet';
import t, { type Test } from 'tap';
import { downTopic, upTopic } from '../../proto/topics.ts';
import { connectPacket, Run, TestDevice, tls, Witness } from './device.ts';
import { House } from './house.ts';
import { eventually, FILE_TIMEOUT_MS, rssBytes } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const CONNECT_MS = 1500;
const PACKET_MS = 2000;
const MAX_PACKET = 1 << 20;
const MB = 1 << 20;
const house = await House.open(t, {
  mqtt: { connectTimeoutMs: CONNECT_MS, packetTimeoutMs: PACKET_MS, maxPacketBytes: MAX_PACKET },
});
const rogue = await house.addDevice('rogue');
const epoch = await house.grant(rogue.id, 'video');
const good = await house.addDevice('good');
await house.grant(good.id, 'video');
const witness = await Witness.begin(good.bundle);
let largest = 0;
const watch = setInterval(() => {
  largest = Math.max(largest, rssBytes(house.server.pid));
}, 20);
t.teardown(() => clearInterval(watch));

/** A test after which the rest goes on, and in which memory stays bounded. */
function attempt(name: string, act: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    const before = rssBytes(house.server.pid);
    largest = before;
    await act(t);
    t.ok(await witness.goesOn(), 'the other device goes on');
    const grownMb = Math.round((largest - before) / MB);
    t.ok(grownMb < 64, `memory grew by ${grownMb} MB`);
  });
}

/** A bare TLS connection of the rogue device. */
async function open(): Promise<ReturnType<typeof tls>> {
  const socket = tls(rogue.bundle);
  socket.resume();
  await once(socket, 'secureConnect');
  return socket;
}

async function endsWithin(t: Test, socket: Socket, ms: number, what: string): Promise<void> {
  const startMs = performance.now();
  await eventually(`${what} ends`, () => socket.destroyed, ms + 2000);
  t.ok(
    performance.now() - startMs < ms + 1000,
    `${what}: after ${Math.round(performance.now() - startMs)} ms`,
  );
}

/** Writes for as long as the connection lasts. */
async function pour(socket: Socket, piece: Buffer): Promise<void> {
  let news = Promise.withResolvers<void>();
  socket.on('drain', () => news.resolve()).on('close', () => news.resolve());
  while (!socket.destroyed) {
    news = Promise.withResolvers();
    if (socket.write(piece)) setImmediate(news.resolve);
    await news.promise;
  }
}

const DECLARES_256_MB = Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]);

attempt('256 MB declared before CONNECT is refused at its first bytes', async (t) => {
  const sockets = await Promise.all(Array.from({ length: 5 }, open));
  for (const socket of sockets) {
    socket.write(DECLARES_256_MB);
    void pour(socket, Buffer.alloc(64 * 1024));
  }
  for (const socket of sockets) await endsWithin(t, socket, 500, 'it');
});

attempt('a CONNECT of 60 KB is refused', async (t) => {
  const socket = await open();
  const packet = { ...connectPacket(rogue.id), username: 'x'.repeat(60_000) };
  socket.write(mqttPacket.generate(packet));
  await endsWithin(t, socket, 500, 'it');
});

attempt('what is no MQTT at all is refused', async (t) => {
  const bad: [string, Buffer][] = [
    ['a length of five bytes', Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x01])],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
    ['a CONNECT without content', Buffer.from([0x10, 0x00])],
    ['another protocol', Buffer.from(mqttPacket.generate(connectPacket(rogue.id))).fill(5, 8, 9)],
    ['PINGREQ first', Buffer.from([0xc0, 0x00])],
  ];
  for (const [what, bytes] of bad) {
    const socket = await open();
    socket.write(bytes);
    await endsWithin(t, socket, CONNECT_MS, what);
  }
});

attempt('one byte a second does not hold a connection, before CONNECT or after', async (t) => {
  const connectBytes = mqttPacket.generate(connectPacket(rogue.id));
  const early = await open();
  const accepted = await TestDevice.connect(rogue.bundle);
  const publish = mqttPacket.generate({
    ...{ cmd: 'publish', topic: upTopic(rogue.id, 'segment'), qos: 1, messageId: 9 },
    ...{ retain: false, dup: false, payload: Buffer.alloc(1000) },
  } as const);
  const drip = (socket: Socket, bytes: Buffer) => {
    let at = 0;
    const timer = setInterval(() => {
      if (!socket.destroyed) socket.write(bytes.subarray(at, ++at));
    }, 1000);
    t.teardown(() => clearInterval(timer));
    socket.write(bytes.subarray(at, ++at));
  };
  drip(early, connectBytes);
  drip(accepted.socket, publish);
  await Promise.all([
    endsWithin(t, early, CONNECT_MS, 'the one without CONNECT'),
    endsWithin(t, accepted.socket, PACKET_MS, 'the one with half a PUBLISH'),
  ]);
});

attempt('200 sockets that say nothing are closed, with and without TLS', async (t) => {
  const port = house.mqttPort;
  const plain = Array.from({ length: 170 }, () =>
    connect(port, '127.0.0.1')
      .on('error', () => undefined)
      .resume(),
  );
  const secure = await Promise.all(Array.from({ length: 30 }, open));
  t.ok(await witness.goesOn(), 'meanwhile another device publishes');
  const startMs = performance.now();
  await eventually(
    'all closed',
    () => [...plain, ...secure].every(({ destroyed }) => destroyed),
    CONNECT_MS + 3000,
  );
  t.ok(
    performance.now() - startMs < CONNECT_MS + 2000,
    `after ${Math.round(performance.now() - startMs)} ms`,
  );
});

attempt('a PUBLISH before CONNECT ends the connection', async (t) => {
  const device = new TestDevice(tls(rogue.bundle), rogue.id);
  const run = new Run(epoch);
  t.match(await device.publish('stream', run.streamPayload), { outcome: 'closed' });
  t.equal(device.connack, undefined);
});

attempt('a PUBLISH sent together with CONNECT is stored once the device is accepted', async (t) => {
  const device = new TestDevice(tls(rogue.bundle), rogue.id);
  const run = new Run(epoch);
  device.send(connectPacket(rogue.id));
  const stream = device.publish('stream', run.streamPayload);
  const segment = device.publish('segment', run.next().payload);
  t.match(await stream, { outcome: 'acked' });
  t.match(await segment, { outcome: 'acked' });
  t.equal(device.connack, 0);
  await device.close();
});

attempt('packets over their limits end the connection', async (t) => {
  const run = new Run(epoch);
  const device = await TestDevice.connect(rogue.bundle);
  await device.publish('stream', run.streamPayload);
  t.match(await device.publish('segment', run.next(MAX_PACKET - 2000).payload), {
    outcome: 'acked',
    codes: { length: 0 },
  });
  t.match(await device.publish('segment', run.next(MAX_PACKET + 1).payload), { outcome: 'closed' });
  const second = await TestDevice.connect(rogue.bundle);
  const filters = Array.from({ length: 4000 }, (_, i) => `lenscap/1/${rogue.id}/down/${i}`);
  t.strictSame(await second.subscribe(...filters), [], 'a SUBSCRIBE of 200 KB');
  const third = await TestDevice.connect(rogue.bundle);
  third.socket.write(Buffer.from([0x32, 0xff, 0xff, 0xff, 0x7f]));
  void pour(third.socket, Buffer.alloc(64 * 1024));
  await endsWithin(t, third.socket, 500, 'a PUBLISH of 256 MB');
  await eventually('it is said', () => house.server.err.includes('the limit is'));
});

attempt('a device that never reads what it is told costs no memory', async (t) => {
  const run = new Run(epoch);
  const device = await TestDevice.connect(rogue.bundle);
  await device.publish('stream', run.streamPayload);
  const bad = Array.from({ length: 200 }, (_, i) =>
    mqttPacket.generate({
      ...{ cmd: 'publish', topic: upTopic(rogue.id, 'segment'), qos: 1, messageId: i + 1 },
      ...{ retain: false, dup: false, payload: run.next(10, { epoch: 1 }).payload },
    } as const),
  );
  device.socket.pause();
  const verdicts = pour(device.socket, Buffer.concat(bad));
  const startMs = performance.now();
  await eventually(
    'it is cut off, or six seconds',
    () => device.isClosed || performance.now() - startMs > 6000,
  );
  t.comment(device.isClosed ? 'it was cut off' : 'it was held back');
  await device.close();
  await verdicts;
});

attempt('floods of small packets from a device that never reads cost no memory', async (t) => {
  const pings = Buffer.alloc(64 * 1024, Buffer.from([0xc0, 0x00]));
  const subscribe = mqttPacket.generate({
    ...{ cmd: 'subscribe', messageId: 7 },
    ...{
      subscriptions: Array.from({ length: 50 }, () => ({
        topic: downTopic(rogue.id, 'grant'),
        qos: 1 as const,
      })),
    },
  } as const);
  for (const [what, bytes] of [
    ['PINGREQ', pings],
    ['SUBSCRIBE', Buffer.concat(Array.from({ length: 20 }, () => subscribe))],
  ] as const) {
    const device = await TestDevice.connect(rogue.bundle);
    device.socket.pause();
    const flood = pour(device.socket, bytes);
    const startMs = performance.now();
    let rounds = 0;
    while (performance.now() - startMs < 3000) {
      t.ok(await witness.goesOn(), `${what}: round ${rounds}`);
      rounds += 1;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await device.close();
    await flood;
  }
});

t.test('only what was right is stored', async (t) => {
  const report = await house.verify();
  t.match(report, { code: 0, faults: { length: 0 } });
  t.equal(report.segments, witness.stored + 2);
});
