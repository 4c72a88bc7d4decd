// Delivery against a real broker over TLS: grant first, window, order, verdicts, withdrawal.
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { ErrorCode } from '../../../proto/errors.ts';
import { decodeEvent } from '../../../proto/event.ts';
import { decodeGap } from '../../../proto/gap.ts';
import { decodeSegment } from '../../../proto/segment.ts';
import { decodeApplied, encodeVerdict } from '../../../proto/verdict.ts';
import { grant } from '../consent/grants.ts';
import { event, header, hex, media, stream } from '../spool/captured.ts';
import { eventually, fill, makeRig, type RigOptions } from './rig.ts';
import type { Publish, TestServer } from './server.ts';
import { SlowLine } from './slow-line.ts';

t.jobs = 4;

async function rigFor(t: Tap, options: Omit<RigOptions, 'stateDir'> = {}) {
  const rig = await makeRig({ stateDir: t.testdir(), ...options });
  t.teardown(() => rig.end());
  return rig;
}
interface Tap {
  testdir(): string;
  teardown(end: () => Promise<void>): void;
}

const sequences = (server: TestServer) =>
  server.received
    .filter(({ noun }) => noun === 'segment')
    .map(({ payload }) => decodeSegment(payload).sequence);
const empty = ({ spool }: { spool: { held(): { items: number } } }) => spool.held().items === 0;

function refusal(payload: Buffer, code: ErrorCode, erase: boolean): Uint8Array {
  const { streamId, sequence } = decodeSegment(payload);
  const target = { kind: 'segment', streamId, sequence } as const;
  return encodeVerdict({ target, code, erase, detail: '' });
}

t.test('nothing is published before the grant of this connection', async (t) => {
  let grantedAtMs = 0;
  const rig = await rigFor(t, {
    onReady: (server) =>
      setTimeout(() => {
        grantedAtMs = performance.now();
        server.say('grant', grant(1, ['video']));
      }, 300),
  });
  rig.gate.accept(grant(1, ['video']));
  fill(rig, 2);
  rig.start();
  await eventually('all sent', () => empty(rig));
  t.same(rig.server.nouns().toSorted(), ['applied', 'segment', 'segment', 'stream']);
  t.ok(rig.server.received.every(({ atMs }) => atMs >= grantedAtMs));
  const applied = rig.server.received.find(({ noun }) => noun === 'applied');
  t.match(decodeApplied(applied?.payload ?? Buffer.alloc(0)), { epoch: 1 });
});

t.test(
  'what waits outlasts a grant that cannot be saved, and goes with one that can',
  async (t) => {
    const rig = await rigFor(t);
    const inTheWay = join(t.testdirName, 'grant.new');
    mkdirSync(inTheWay);
    fill(rig, 2);
    rig.start();
    await eventually('told', () => rig.lines.some(({ code }) => code === 'STORE_FAILED'));
    rig.server.say('grant', grant(1, ['video']));
    const failures = () => rig.lines.filter(({ code }) => code === 'STORE_FAILED').length;
    await eventually('told again, after the first was obeyed', () => failures() === 2);
    t.equal(rig.spool.held().items, 2);
    t.same(rig.server.nouns(), []);
    rmdirSync(inTheWay);
    rig.server.say('grant', grant(1, ['video']));
    await eventually('all sent', () => empty(rig));
    t.same(sequences(rig.server), [0, 1]);
  },
);

t.test('without a valid grant the connection is given up, and nothing is sent', async (t) => {
  const rig = await rigFor(t, {
    grantTimeoutMs: 150,
    onReady: (server) => server.say('grant', grant(1, ['video'])),
  });
  rig.gate.accept(grant(2, ['video']));
  rig.spool.stream(stream('a', { epoch: 2 }));
  rig.start();
  await eventually('three connections', () => rig.server.connections >= 3);
  t.same(rig.server.received, []);
  t.ok(rig.lines.some(({ msg }) => /older epoch/.test(msg)));
  t.ok(rig.lines.some(({ msg }) => /no valid grant within 150 ms/.test(msg)));
});

t.test('at most a window of items is unacknowledged', async (t) => {
  const held: Publish[] = [];
  const rig = await rigFor(t, {
    onPublish: (publish) => {
      if (publish.noun === 'segment') held.push(publish);
      else publish.ack();
    },
  });
  fill(rig, 8);
  rig.start();
  for (let acknowledged = 0; acknowledged < 8; acknowledged += 1) {
    const expected = Math.min(8, acknowledged + 2);
    await eventually('window filled', () => sequences(rig.server).length === expected);
    rig.gate.accept(grant(1, ['video']));
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.equal(sequences(rig.server).length, expected);
    held[acknowledged]?.ack();
  }
  await eventually('all sent', () => empty(rig));
  t.same(sequences(rig.server), [0, 1, 2, 3, 4, 5, 6, 7]);
});

t.test(
  'after a loss of the connection what was not acknowledged comes again, in order',
  async (t) => {
    let isBroken = true;
    const rig = await rigFor(t, {
      onPublish: ({ noun, payload, ack }, server) => {
        if (noun !== 'segment' || !isBroken || decodeSegment(payload).sequence < 2) return ack();
        if (decodeSegment(payload).sequence === 3) {
          isBroken = false;
          server.reset();
        }
      },
    });
    fill(rig, 6);
    rig.start();
    await eventually('all sent', () => empty(rig));
    t.same(sequences(rig.server), [0, 1, 2, 3, 2, 3, 4, 5]);
    t.equal(rig.server.nouns().filter((noun) => noun === 'stream').length, 1);
    t.equal(rig.server.connections, 2);
  },
);

t.test('a refusal for good erases; only a loss leaves a gap', async (t) => {
  const codes: Record<number, ErrorCode> = {
    1: 'CONSENT_MISSING',
    2: 'SEGMENT_HASH',
    3: 'SEGMENT_HASH',
    5: 'SEGMENT_DELETED',
  };
  const rig = await rigFor(t, {
    config: { window: 1 },
    onPublish: ({ noun, payload, ack }, server) => {
      const code = noun === 'segment' ? codes[decodeSegment(payload).sequence] : undefined;
      if (code !== undefined) server.say('verdict', refusal(payload, code, true));
      // The verdict has to be on its way first.
      setTimeout(ack, code === undefined ? 0 : 20);
    },
  });
  fill(rig, 7);
  rig.start();
  await eventually('all sent', () => empty(rig));
  t.same(sequences(rig.server), [0, 1, 2, 3, 4, 5, 6], 'each once');
  t.equal(rig.figures.segmentsSent, 3, 'what was refused was not sent');
  const gaps = rig.server.received.filter(({ noun }) => noun === 'gap');
  t.same(
    gaps.map(({ payload }) => decodeGap(payload)).map(({ reason, code }) => ({ reason, code })),
    [
      { reason: 'refused', code: 'SEGMENT_HASH' },
      { reason: 'refused', code: 'SEGMENT_HASH' },
    ],
  );
});

t.test('a stream that the server does not know is sent before its segment again', async (t) => {
  let known = true;
  const rig = await rigFor(t, {
    onPublish: ({ noun, payload, ack }, server) => {
      if (noun === 'stream') known = true;
      const isRefused = noun === 'segment' && !known;
      if (isRefused) server.say('verdict', refusal(payload, 'STREAM_UNKNOWN', false));
      setTimeout(ack, isRefused ? 20 : 0);
    },
  });
  fill(rig, 1);
  rig.start();
  await eventually('first sent', () => empty(rig));
  known = false;
  rig.spool.segment(header('a', 1), media());
  rig.spool.segment(header('a', 2), media());
  await eventually('all sent', () => empty(rig));
  const nouns = rig.server.nouns().filter((noun) => noun !== 'applied');
  t.same(nouns.slice(0, 2), ['stream', 'segment']);
  t.same(nouns.slice(-3), ['stream', 'segment', 'segment']);
  t.same(sequences(rig.server).slice(-2), [1, 2]);
});

t.test('what the server cannot store now is kept and sent again after a pause', async (t) => {
  let refusals = 3;
  const rig = await rigFor(t, {
    onPublish: ({ noun, payload, ack }, server) => {
      const isRefused = noun === 'segment' && refusals > 0;
      if (isRefused) {
        refusals -= 1;
        server.say('verdict', refusal(payload, 'STORE_FULL', false));
      }
      setTimeout(ack, isRefused ? 20 : 0);
    },
  });
  fill(rig, 3);
  rig.start();
  await eventually('all sent', () => empty(rig));
  const seen = sequences(rig.server);
  t.same(new Set(seen), new Set([0, 1, 2]));
  t.equal(seen.length, 6);
  t.same(
    rig.server.nouns().filter((noun) => noun === 'gap'),
    [],
  );
});

t.test('a withdrawal erases what waits, reports its epoch, and sends nothing more', async (t) => {
  const held: Publish[] = [];
  const rig = await rigFor(t, {
    onPublish: (publish) => {
      if (publish.noun === 'segment') held.push(publish);
      else publish.ack();
    },
  });
  fill(rig, 10);
  rig.start();
  await eventually('two in flight', () => held.length === 2);
  rig.server.say('grant', grant(2, []));
  await eventually(
    'reported',
    () => rig.server.nouns().filter((n) => n === 'applied').length === 2,
  );
  t.equal(rig.gate.permit(), null);
  t.same(rig.spool.held(), { items: 0, bytes: 0 });
  for (const { ack } of held) ack();
  rig.server.say('grant', grant(2, []));
  await eventually('renewed', () => rig.server.nouns().filter((n) => n === 'applied').length === 3);
  t.equal(sequences(rig.server).length, 2);
  t.match(decodeApplied(rig.server.received.at(-1)?.payload ?? Buffer.alloc(0)), { epoch: 2 });
});

t.test('on a slow line a withdrawal keeps back the rest of what is being sent', async (t) => {
  let epoch = 1;
  const slow = new SlowLine();
  const rig = await rigFor(t, {
    config: { backoffMinMs: 5000, backoffMaxMs: 5000 },
    identity: { port: await slow.listen() },
    onPublish: ({ noun, ack }) => {
      if (noun === 'segment') slow.freeze();
      ack();
    },
    onReady: (server) => server.say('grant', grant(epoch, epoch === 1 ? ['video'] : [])),
  });
  t.teardown(() => slow.close());
  slow.target = rig.server.port;
  rig.start();
  await eventually('open', () => rig.gate.permit() !== null);
  fill(rig, 1);
  await eventually('stored', () => empty(rig) && sequences(rig.server).length === 1);
  const bytes = 20 << 20;
  rig.spool.segment(header('a', 1), media(bytes));
  await eventually('half sent', () => slow.held > 0);
  const startMs = performance.now();
  epoch = 2;
  rig.server.say('grant', grant(2, []));
  await eventually(
    'reported',
    () => rig.server.nouns().filter((n) => n === 'applied').length === 2,
  );
  t.ok(performance.now() - startMs < 2000, 'without waiting for a back-off');
  t.ok(slow.held < bytes / 2, `${slow.held} of ${bytes} bytes left`);
  t.equal(sequences(rig.server).length, 1);
});

t.test('with the lease run out nothing leaves until it is renewed', async (t) => {
  const rig = await rigFor(t, {
    onReady: (server) => server.say('grant', grant(1, ['video'], { leaseS: 1 })),
  });
  rig.start();
  await eventually('open', () => rig.gate.permit() !== null);
  await eventually('closed', () => rig.gate.permit() === null);
  fill(rig, 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.same(rig.server.nouns(), ['applied']);
  rig.server.say('grant', grant(1, ['video']));
  await eventually('all sent', () => empty(rig));
  t.same(sequences(rig.server), [0]);
});

t.test('events leave under their own scope, and what was sent is counted', async (t) => {
  const rig = await rigFor(t, {
    onReady: (server) =>
      server.say('grant', grant(2, ['video', 'device_info'], {}, { video: 1, device_info: 1 })),
  });
  rig.gate.accept(grant(1, ['video', 'device_info', 'audio']));
  rig.spool.event(event('m', 0));
  rig.spool.event(event('s', 1, { kind: 'sound' }));
  rig.spool.event(event('p', 2, { kind: 'power_restored', lasts: false }));
  rig.gate.accept(grant(2, ['video', 'device_info'], {}, { video: 1, device_info: 1 }));
  fill(rig, 1);
  rig.start();
  await eventually('all is sent', () => empty(rig));
  const events = rig.server.received.filter(({ noun }) => noun === 'event');
  t.same(
    events.map(({ payload }) => decodeEvent(payload).kind),
    ['motion', 'power_restored'],
  );
  t.equal(rig.figures.segmentsSent, 1);
  t.ok(rig.figures.bytesSent > 1000, `${rig.figures.bytesSent} bytes`);
  t.not(rig.figures.roundTripMs, null);
  t.equal(rig.figures.connectionsLost, 0);
});

t.test('messages that make no sense are ignored', async (t) => {
  const rig = await rigFor(t, {
    onReady: (server) => {
      server.say('verdict', Buffer.from('nonsense'));
      server.say('verdict', refusalOf('f', 7));
      server.say('grant', Buffer.from('nonsense'));
      server.say('grant', grant(1, ['video']));
    },
  });
  fill(rig, 1);
  rig.start();
  await eventually('all sent', () => empty(rig));
  t.equal(rig.server.connections, 1);
});

function refusalOf(name: string, sequence: number): Uint8Array {
  const target = { kind: 'segment', streamId: hex(name), sequence } as const;
  return encodeVerdict({ target, code: 'SEGMENT_HASH', erase: true, detail: '' });
}
