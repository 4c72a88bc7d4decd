// Delivery over bad lines, through a real relay: what is slow gets through, what stands still is left,
// what happens now goes before what waited, and no more is sent than may be.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import t from 'tap';
import type { Errand } from '../../../agent/uplink/errand.ts';
import { Patience } from '../../../agent/uplink/patience.ts';
import { queuedBytes } from '../../../agent/uplink/send-queue.ts';
import { decodeSegment } from '../../../proto/segment.ts';
import { FaultProxy } from '../../e2e/fault-proxy.ts';
import { grant } from '../consent/grants.ts';
import { gap, header, media, stream } from '../spool/captured.ts';
import { eventually, fill, makeRig, type Rig, type RigOptions } from './rig.ts';

t.jobs = 4;
const MBIT = 1_000_000;

interface Tap {
  testdir(): string;
  teardown(end: () => Promise<void>): void;
}

async function rigFor(t: Tap, options: Omit<RigOptions, 'stateDir'> = {}): Promise<Rig> {
  const rig = await makeRig({ stateDir: t.testdir(), ...options });
  t.teardown(() => rig.end());
  return rig;
}

/** A rig whose agent reaches its server over a bad line. */
async function lineFor(t: Tap, options: Omit<RigOptions, 'stateDir' | 'identity'> = {}) {
  // The port of the server is known only after the relay's is given to the agent.
  const later = { port: 0 };
  const proxy = new FaultProxy(() => later.port);
  const rig = await rigFor(t, { ...options, identity: { port: await proxy.listen() } });
  later.port = rig.server.port;
  t.teardown(() => proxy.close());
  return { rig, proxy };
}

const empty = ({ spool }: Rig) => spool.held().items === 0;
const sequences = ({ server }: Rig) =>
  server.received
    .filter(({ noun }) => noun === 'segment')
    .map(({ payload }) => decodeSegment(payload).sequence);
const failures = ({ lines }: Rig) =>
  lines.filter(({ nextAttemptMs }) => nextAttemptMs !== undefined);

t.test('what takes longer than the time for an acknowledgement gets through', async (t) => {
  const rig = await rigFor(t, { config: { ackTimeoutMs: 1000, maxKbps: 1200 } });
  // Two seconds each.
  fill(rig, 2, 'a', 300_000);
  const startMs = performance.now();
  rig.start();
  await eventually('all sent', () => empty(rig));
  t.ok(performance.now() - startMs > 3500, 'it was slow');
  t.same(sequences(rig), [0, 1], 'each once');
  t.same(failures(rig), []);
});

t.test(
  'what the system sends on slowly counts as movement, and its standstill does not',
  async (t) => {
    const listener = createServer((socket) => socket.on('error', () => undefined).pause());
    listener.listen(0, '127.0.0.1');
    const arrived = once(listener, 'connection');
    await once(listener, 'listening');
    const { port } = Object(listener.address());
    const near = connect(port, '127.0.0.1').on('error', () => undefined);
    const [far] = await arrived;
    near.write(Buffer.alloc(4 << 20));
    let stalledMs = 0;
    const patience = new Patience({
      timeoutMs: 2000,
      leftBytes: () => 0,
      queuedBytes: () => queuedBytes(near.localPort ?? 0, near.remotePort ?? 0),
      onStalled: () => {
        stalledMs = performance.now();
      },
    });
    patience.wait();
    const startMs = performance.now();
    for (let readBytes = 0; readBytes < 2.5 * (1 << 20); ) {
      readBytes += far.read(32 * 1024)?.length ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    const tookMs = performance.now() - startMs;
    t.ok(tookMs > 2200 && stalledMs === 0, `not given up in ${Math.round(tookMs)} ms`);
    await eventually('given up', () => stalledMs > 0);
    for (const end of [near, far]) end.destroy();
    listener.close();
  },
);

t.test('a line that goes silent in mid-segment is left in bounded time', async (t) => {
  const { rig, proxy } = await lineFor(t, {
    config: { ackTimeoutMs: 1000 },
    onPublish: ({ noun, ack }) => {
      if (noun === 'stream') proxy.set({ bitsPerS: 2 * MBIT });
      ack();
    },
  });
  fill(rig, 1, 'a', 2_000_000);
  rig.start();
  await eventually('in mid-segment', () => proxy.upBytes > 200_000);
  const startMs = performance.now();
  proxy.halfOpen();
  proxy.set({});
  await eventually('given up', () => failures(rig).length > 0);
  const tookMs = Math.round(performance.now() - startMs);
  t.ok(tookMs < 2500, `after ${tookMs} ms`);
  t.match(failures(rig)[0], { msg: /no acknowledgement within 1000 ms, and nothing moves/ });
  await eventually('all sent', () => empty(rig));
  t.same(sequences(rig), [0]);
});

t.test('a line that goes silent when idle is left after one and a half keepalives', async (t) => {
  const { rig, proxy } = await lineFor(t, { config: { keepaliveS: 1 } });
  fill(rig, 1);
  rig.start();
  await eventually('all sent', () => empty(rig));
  const startMs = performance.now();
  proxy.halfOpen();
  await eventually('given up', () => failures(rig).length > 0);
  const tookMs = Math.round(performance.now() - startMs);
  t.ok(tookMs < 2500, `after ${tookMs} ms`);
  t.match(failures(rig)[0], { msg: /Keepalive timeout/ });
});

t.test('what happens now goes before what waited', async (t) => {
  const { rig, proxy } = await lineFor(t, { config: { window: 4 }, flushAfterMs: 1500 });
  proxy.set({ bitsPerS: 4 * MBIT });
  fill(rig, 20, 'a', 100_000);
  await new Promise((resolve) => setTimeout(resolve, 1600));
  rig.start();
  await eventually('the backlog is under way', () => sequences(rig).length >= 3);
  const before = sequences(rig).length;
  rig.spool.stream(stream('b'));
  for (const sequence of [100, 101]) rig.spool.segment(header('b', sequence), media(20_000));
  await eventually('all sent', () => empty(rig));
  const seen = sequences(rig);
  const old = seen.filter((sequence) => sequence < 100);
  t.same(
    old,
    Array.from({ length: 20 }, (_, sequence) => sequence),
    'the backlog in order',
  );
  const waited = seen.indexOf(101) - before;
  t.ok(waited <= 5, `${waited} of the backlog went before: ${seen.join(' ')}`);
});

t.test('the backlog leaves the line the share that is not its own', async (t) => {
  const rig = await rigFor(t, {
    config: { window: 2, backlogPercent: 20 },
    flushAfterMs: 100,
    onPublish: ({ noun, ack }) => setTimeout(ack, noun === 'segment' ? 50 : 0),
  });
  fill(rig, 6);
  await new Promise((resolve) => setTimeout(resolve, 150));
  rig.start();
  await eventually('all sent', () => empty(rig));
  const times = rig.server.received.filter(({ noun }) => noun === 'segment');
  const tookMs = (times.at(-1)?.atMs ?? 0) - (times[0]?.atMs ?? 0);
  // Five times 50 ms of work and 200 ms of rest.
  t.ok(tookMs > 1100, `${Math.round(tookMs)} ms`);
});

t.test('a limited rate holds, and nothing of it shows in the bytes', async (t) => {
  const rig = await rigFor(t, { config: { maxKbps: 1600 } });
  fill(rig, 4, 'a', 100_000);
  const startMs = performance.now();
  rig.start();
  await eventually('all sent', () => empty(rig));
  const kbps = (rig.server.bytes * 8) / (performance.now() - startMs);
  t.ok(kbps < 1700, `${Math.round(kbps)} kbit/s`);
  t.ok(kbps > 800, 'and not much less');
  t.same(sequences(rig), [0, 1, 2, 3]);
});

t.test('on a limited line too a withdrawal keeps back what has not left', async (t) => {
  const rig = await rigFor(t, { config: { maxKbps: 800 } });
  fill(rig, 1, 'a', 1_000_000);
  rig.start();
  await eventually('half sent', () => rig.server.bytes > 100_000);
  rig.server.say('grant', grant(2, []));
  await eventually('connected anew', () => rig.server.connections === 2);
  t.ok(rig.server.bytes < 400_000, `${rig.server.bytes} bytes left`);
  t.same(sequences(rig), []);
});

t.test('over a network that costs by volume only gaps and errands are sent', async (t) => {
  const told: string[] = [];
  const errand: Errand = {
    noun: null,
    receive: () => undefined,
    run: async (line) => {
      t.equal(line.isMetered?.(), true, 'and errands know of it');
      await line.publish('info', Buffer.alloc(1));
      told.push('info');
    },
  };
  const options = { errands: [errand], config: { meteredInterfaces: ['eth9', 'l*'] } };
  const rig = await rigFor(t, options);
  fill(rig, 3);
  rig.spool.gap(gap('g', 2));
  rig.start();
  await eventually('the gap is sent', () => rig.server.nouns().includes('gap'));
  await eventually('the errand is run', () => told.length === 1);
  t.same(rig.spool.held().items, 3);
  t.ok((await rig.stop()) < 1500, 'a stop does not wait for another network');
  t.same(rig.server.nouns().toSorted(), ['applied', 'gap', 'info']);
  t.equal(rig.lines.filter(({ msg }) => /costs by volume/.test(msg)).length, 1);
});

// Where a network of its own can be had; elsewhere the decisions alone are tested.
if (spawnSync('unshare', ['-n', 'true'], { stdio: 'ignore' }).status === 0)
  t.spawn(
    'unshare',
    ['-n', process.execPath, new URL('metered-change.ts', import.meta.url).pathname],
    {},
    'another network',
  ).catch((error: unknown) => t.fail(String(error)));

t.test('an opening is the first publish of each connection', async (t) => {
  let openings = 0;
  const errand: Errand = {
    noun: null,
    receive: () => undefined,
    opening: () => {
      openings += 1;
      return { noun: 'anchor', payload: Buffer.from([openings]) };
    },
    run: async () => undefined,
  };
  const silent: Errand = { ...errand, opening: () => null };
  const rig = await rigFor(t, { errands: [silent, errand] });
  fill(rig, 2);
  rig.start();
  await eventually('all sent', () => empty(rig));
  rig.server.say('grant', grant(1, ['video']));
  rig.server.reset();
  fill(rig, 1, 'b');
  await eventually('all sent again', () => empty(rig) && rig.server.connections === 2);
  const nouns = rig.server.nouns();
  t.equal(nouns[0], 'anchor');
  t.equal(nouns.filter((noun) => noun === 'anchor').length, 2, 'once for each connection');
  t.equal(nouns[nouns.lastIndexOf('anchor') - 1], 'segment', 'and first on the second');
});
