import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { generate, type IConnectPacket, type IPublishPacket, parser } from 'mqtt-packet';
import t from 'tap';
import { Guard, type GuardLimits } from '../../../broker/mqtt/guard.ts';
import { seeded } from '../../seeded.ts';

const LIMITS: GuardLimits = {
  maxConnectBytes: 4096,
  maxControlBytes: 65_536,
  maxControlPerS: 50,
  maxPacketBytes: 1 << 20,
  maxInflight: 3,
  packetTimeoutMs: 5000,
  connectTimeoutMs: 5000,
};

const connect: IConnectPacket = {
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 4,
  clientId: 'x',
  clean: true,
  keepalive: 0,
};

function publish(messageId: number, payload: Buffer): Buffer {
  const packet: IPublishPacket = {
    cmd: 'publish',
    topic: 't',
    payload,
    qos: 1,
    messageId,
    dup: false,
    retain: false,
  };
  return generate(packet);
}

/** A guard with the far end of its socket, and what came through. */
function setup(limits: Partial<GuardLimits> = {}): {
  guard: Guard;
  far: Duplex;
  passed: () => number;
} {
  const [near, far] = duplexPair();
  const guard = new Guard(near, { ...LIMITS, ...limits });
  let bytes = 0;
  guard.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  guard.on('error', () => undefined);
  far.on('error', () => undefined);
  return { guard, far, passed: () => bytes };
}

/** Why the guard cut the connection. */
async function refusal(guard: Guard): Promise<string> {
  const [error] = await once(guard, 'error');
  return error instanceof Error ? error.message : '';
}

t.test(
  'bytes pass unchanged in any pieces, and never more PUBLISHes than allowed are let in',
  async (t) => {
    const random = seeded(t);
    for (let round = 0; round < 25; round++) {
      const [near, far] = duplexPair();
      const guard = new Guard(near, LIMITS);
      const sizes = Array.from({ length: 120 }, () => Math.floor(random() ** 3 * 60_000));
      const sent = Buffer.concat([
        generate(connect),
        ...sizes.flatMap((size, id) => [
          publish(id + 1, Buffer.alloc(size, id)),
          ...(id % 7 === 0 ? [generate({ cmd: 'pingreq' })] : []),
        ]),
      ]);
      let open = 0;
      let most = 0;
      let published = 0;
      const received: Buffer[] = [];
      const decoder = parser();
      decoder.on('packet', (packet) => {
        if (packet.cmd === 'connect') setImmediate(() => guard.authenticated());
        if (packet.cmd !== 'publish') return;
        most = Math.max(most, ++open);
        setImmediate(() => {
          open--;
          published++;
          guard.release();
          if (published === sizes.length) guard.destroy();
        });
      });
      guard.on('data', (chunk: Buffer) => {
        received.push(chunk);
        decoder.parse(chunk);
      });
      for (let at = 0; at < sent.length; ) {
        const size = 1 + Math.floor(random() ** 4 * 60_000);
        far.write(sent.subarray(at, at + size));
        at += size;
      }
      far.resume();
      await once(guard, 'close');
      if (
        !Buffer.concat(received).equals(sent) ||
        most > LIMITS.maxInflight ||
        published !== sizes.length
      )
        t.fail(`round ${round}: ${published} published, ${most} at once`);
    }
    t.pass('25 rounds');
  },
);

t.test('a packet pipelined behind CONNECT waits until the device is admitted', async (t) => {
  const { guard, far, passed } = setup();
  const first = generate(connect);
  far.write(Buffer.concat([first, publish(1, Buffer.alloc(10))]));
  await once(guard, 'data');
  t.equal(passed(), first.length);
  const more = once(guard, 'data');
  guard.authenticated();
  await more;
  t.ok(passed() > first.length);
  guard.destroy();
});

for (const [name, bytes, limits, why] of [
  [
    '256 MB declared before CONNECT',
    Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]),
    {},
    /declares 268435455 bytes/,
  ],
  ['a first packet that is not CONNECT', publish(1, Buffer.alloc(1)), {}, /not CONNECT/],
  [
    'a length of five bytes',
    Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 0x01]),
    {},
    /no valid length/,
  ],
  [
    'a CONNECT that is never completed',
    Buffer.from([0x10, 0x20, 0x00]),
    { packetTimeoutMs: 30 },
    /not completed/,
  ],
  ['silence', Buffer.alloc(0), { connectTimeoutMs: 30 }, /no accepted CONNECT/],
] as const)
  t.test(`${name} ends the connection`, async (t) => {
    const { guard, far, passed } = setup(limits);
    const refused = refusal(guard);
    if (bytes.length > 0) far.write(bytes);
    t.match(await refused, why);
    t.equal(passed() <= bytes.length, true);
    t.ok(guard.destroyed);
  });

for (const [name, packet, why] of [
  [
    'a PUBLISH over the limit',
    publish(1, Buffer.alloc(LIMITS.maxPacketBytes + 1)),
    /the limit is 1048576/,
  ],
  ['a SUBSCRIBE over the limit', Buffer.from([0x82, 0x81, 0x80, 0x04]), /the limit is 65536/],
] as const)
  t.test(`${name} ends the connection before its body is read`, async (t) => {
    const { guard, far, passed } = setup();
    far.write(generate(connect));
    await once(guard, 'data');
    guard.authenticated();
    const before = passed();
    const refused = refusal(guard);
    far.write(packet);
    t.match(await refused, why);
    t.equal(passed(), before);
  });

t.test('a large packet may take long while it gets on, and no longer', async (t) => {
  const { guard, far, passed } = setup({ packetTimeoutMs: 400 });
  far.write(generate(connect));
  await once(guard, 'data');
  guard.authenticated();
  const before = passed();
  const refused = refusal(guard);
  const packet = publish(1, Buffer.alloc(1_000_000));
  const startMs = performance.now();
  // More than a step each time, and all of it slower than one packet may take.
  for (let at = 0; at < 10 * 80_000; at += 80_000) {
    far.write(packet.subarray(at, at + 80_000));
    await new Promise((done) => setTimeout(done, 60));
  }
  t.ok(performance.now() - startMs > 400, 'longer than a step may take');
  t.equal(passed() - before, 800_000, 'all of it came through');
  t.match(await refused, /not completed in time/, 'until nothing comes any more');
});

t.test('a flood of small packets ends the connection', async (t) => {
  const { guard, far, passed } = setup();
  far.write(generate(connect));
  await once(guard, 'data');
  guard.authenticated();
  const refused = refusal(guard);
  far.write(Buffer.alloc(100_000, generate({ cmd: 'pingreq' })));
  t.match(await refused, /more than 50 control packets/);
  t.ok(passed() < 1000, `${passed()} bytes came through`);
});

t.test('what a sender pipelines beyond the limit stays with the sender', async (t) => {
  const { guard, far, passed } = setup();
  far.write(generate(connect));
  await once(guard, 'data');
  guard.authenticated();
  const packet = publish(1, Buffer.alloc(100_000));
  for (let count = 0; count < 50; count++) far.write(packet);
  await new Promise((done) => setTimeout(done, 50));
  t.ok(passed() < packet.length * (LIMITS.maxInflight + 1), `${passed()} bytes came through`);
  t.ok(guard.readableLength + guard.socket.readableLength < 1 << 20, 'little is buffered here');
  guard.destroy();
});
