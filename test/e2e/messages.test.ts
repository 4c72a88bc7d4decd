// Messages that are wrong, or lie: each gets its verdict before its PUBACK, or ends the connection
// where not even its id can be read; nothing but what is right is stored.
import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import type { Segment as SegmentMessage } from '../../proto/segment.ts';
import { AUDIO, gapPayload, Run, TestDevice, VIDEO, Witness } from './device.ts';
import { House } from './house.ts';
import { FILE_TIMEOUT_MS } from './processes.ts';
import { Gap, Segment, Stream } from './wire.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const house = await House.open(t);
const camera = await house.addDevice('camera');
const other = await house.addDevice('other');
const epoch = await house.grant(camera.id, 'video');
const otherEpoch = await house.grant(other.id, 'video', 'audio');
const witness = await Witness.begin(other.bundle);
let device = await TestDevice.connect(camera.bundle);
const run = new Run(epoch);
t.match(await device.publish('stream', run.streamPayload), {
  outcome: 'acked',
  codes: { length: 0 },
});
const stored: string[] = [];

/** A test after which the rest goes on, and only what was right is stored. */
function attempt(name: string, act: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    await act(t);
    if (device.isClosed) device = await TestDevice.connect(camera.bundle);
    t.ok(await witness.goesOn(), 'the other device goes on');
    const found = (await house.stored(camera.id)).segments.map(({ sha256 }) => sha256);
    t.strictSame(found.sort(), stored.sort(), 'only what was right is stored');
  });
}

/** A good one, stored. */
async function store(t: Test, from = run) {
  const segment = from.next();
  t.match(await device.publish('segment', segment.payload), {
    outcome: 'acked',
    codes: { length: 0 },
  });
  stored.push(Buffer.from(segment.header.sha256).toString('hex'));
  return segment;
}

/** Refused for good: a verdict that says to erase it, then PUBACK, and the link stays. */
async function refused(
  t: Test,
  noun: 'stream' | 'segment' | 'gap',
  payload: Uint8Array,
  code: string,
) {
  const answer = await device.publish(noun, payload);
  t.match(
    answer,
    { outcome: 'acked', codes: [code], verdicts: [{ erase: true }] },
    `${noun}: ${code}`,
  );
  t.ok(answer.verdicts[0]?.detail, 'with a detail for people');
  t.notOk(device.isClosed, 'the link stays');
}

async function cutOff(
  t: Test,
  noun: 'stream' | 'segment' | 'gap' | 'applied',
  payload: Uint8Array,
  what: string,
) {
  if (device.isClosed) device = await TestDevice.connect(camera.bundle);
  t.match(
    await device.publish(noun, payload),
    { outcome: 'closed', codes: { length: 0 } },
    `${noun}: ${what}`,
  );
}

attempt('bytes of which not even the id can be read end the connection', async (t) => {
  const { payload } = run.next();
  const bad: [string, Uint8Array][] = [
    ['nothing', Buffer.alloc(0)],
    ['noise', randomBytes(2000)],
    ['a truncated varint', Buffer.from([0x10, 0xff])],
    ['a length beyond the end', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f])],
    ['a group that never ends', Buffer.alloc(5000, 0x0b)],
    ['its head cut off', payload.subarray(40)],
  ];
  for (const [what, bytes] of bad)
    for (const noun of ['stream', 'segment', 'gap'] as const) await cutOff(t, noun, bytes, what);
  await cutOff(t, 'applied', Buffer.from([0x08]), 'truncated');
  await cutOff(t, 'applied', Buffer.alloc(0), 'no epoch');
});

attempt('odd ids end the connection', async (t) => {
  const { header, media } = run.next();
  for (const id of [
    '',
    '../../etc/passwd',
    '__proto__',
    'a\0b',
    'A'.repeat(32),
    'a'.repeat(33),
    '％'.repeat(32),
  ]) {
    const segment = Segment.encode(
      wireOf({ ...header, chunkBytes: [media.length], media }, { streamId: id }),
    ).finish();
    await cutOff(t, 'segment', segment, JSON.stringify(id));
    const stream = Stream.encode({ ...Stream.decode(run.streamPayload), streamId: id }).finish();
    await cutOff(t, 'stream', stream, JSON.stringify(id));
    await cutOff(
      t,
      'gap',
      Gap.encode({ ...Gap.decode(gapPayload(epoch)), gapId: id }).finish(),
      JSON.stringify(id),
    );
  }
});

/** The fields of a good segment, some replaced. */
function wireOf({ scopes, chunkBytes, ...rest }: SegmentMessage, over: object) {
  const numbers = scopes.map((scope) => (scope === 'video' ? 1 : 2));
  return { ...rest, scopes: numbers, chunkBytes: [...chunkBytes], ...over };
}

attempt('a segment whose fields are out of their range is DECODE_INVALID', async (t) => {
  const { header, media } = run.next();
  const fields: object[] = [
    { durationUs: 0 },
    { durationUs: Number.MAX_SAFE_INTEGER },
    { startAtUs: Number.MAX_SAFE_INTEGER },
    { epoch: 0 },
    { sha256: Buffer.alloc(31) },
    { chunkBytes: [] },
    { chunkBytes: [media.length - 1] },
    { scopes: [1, 1] },
    { scopes: [99] },
    { sealing: { scheme: 'x' } },
  ];
  for (const over of fields) {
    const wire = wireOf({ ...header, chunkBytes: [media.length], media }, over);
    await refused(t, 'segment', Segment.encode(wire).finish(), 'DECODE_INVALID');
  }
  const { payload } = run.next();
  const trailing = Buffer.concat([payload, Buffer.from([0x40, 0x01])]);
  await refused(t, 'segment', trailing, 'DECODE_INVALID');
  const fat = Buffer.concat([Buffer.alloc(60_000, Buffer.from([0xf8, 0x01, 0x00])), payload]);
  await refused(t, 'segment', fat, 'DECODE_INVALID');
});

attempt('no scope at all is refused', async (t) => {
  const { payload } = run.next(4096, { scopes: [] });
  const answer = await device.publish('segment', payload);
  t.match(answer, { outcome: 'acked', codes: [/CONSENT_MISSING|DECODE_INVALID/] });
});

attempt('media that do not match their SHA-256 are SEGMENT_HASH', async (t) => {
  const { payload } = run.next();
  payload.writeUInt8(payload.readUInt8(payload.length - 1) ^ 1, payload.length - 1);
  await refused(t, 'segment', payload, 'SEGMENT_HASH');
});

attempt(
  'a segment of a stream that is not known is to be sent again after its stream',
  async (t) => {
    const fresh = new Run(epoch);
    const segment = fresh.next();
    const answer = await device.publish('segment', segment.payload);
    t.match(answer, { outcome: 'acked', codes: ['STREAM_UNKNOWN'], verdicts: [{ erase: false }] });
    t.notOk(device.isClosed);
    t.match(await device.publish('stream', fresh.streamPayload), {
      outcome: 'acked',
      codes: { length: 0 },
    });
    t.match(await device.publish('segment', segment.payload), {
      outcome: 'acked',
      codes: { length: 0 },
    });
    stored.push(Buffer.from(segment.header.sha256).toString('hex'));
  },
);

attempt("another device's stream is not known to this one", async (t) => {
  const theirs = new Run(otherEpoch);
  await witness.device.publish('stream', theirs.streamPayload);
  t.match(await device.publish('segment', theirs.next().payload), { codes: ['STREAM_UNKNOWN'] });
});

attempt(
  'the same segment again is acknowledged and stored once; other bytes under its id are refused',
  async (t) => {
    const { payload, header } = await store(t);
    for (let i = 0; i < 3; i++)
      t.match(await device.publish('segment', payload), { outcome: 'acked', codes: { length: 0 } });
    const { media, header: fresh } = run.next();
    const replayed = Segment.encode(
      wireOf({ ...fresh, chunkBytes: [media.length], media }, { sequence: header.sequence }),
    ).finish();
    await refused(t, 'segment', replayed, 'SEGMENT_CONFLICT');
    const found = (await house.stored(camera.id)).segments.filter(
      ({ streamId, sequence }) => streamId === header.streamId && sequence === header.sequence,
    );
    t.match(found, [{ sha256: Buffer.from(header.sha256).toString('hex') }], 'the first one stays');
  },
);

attempt(
  'a stream again is acknowledged; with another init, epoch or scopes it is refused',
  async (t) => {
    t.match(await device.publish('stream', run.streamPayload), {
      outcome: 'acked',
      codes: { length: 0 },
    });
    const { stream } = run;
    await refused(
      t,
      'stream',
      new Run(epoch, { ...stream, init: randomBytes(600) }).streamPayload,
      'SEGMENT_CONFLICT',
    );
    await store(t);
  },
);

attempt('sound without consent to sound is refused, however its scopes are told', async (t) => {
  const tracks = [VIDEO, AUDIO];
  const withSound = new Run(epoch, { scopes: ['video', 'audio'], tracks });
  await refused(t, 'stream', withSound.streamPayload, 'CONSENT_MISSING');
  await refused(t, 'segment', withSound.next().payload, 'CONSENT_MISSING');
  const hidden = Stream.encode({ ...Stream.decode(withSound.streamPayload), scopes: [1] }).finish();
  await refused(t, 'stream', hidden, 'DECODE_INVALID');
  t.match(
    await device.publish('segment', withSound.next(4096, { scopes: ['video'] }).payload),
    { codes: ['STREAM_UNKNOWN'] },
    'its stream was never taken in',
  );
});

attempt('a segment has to name all scopes of its stream', async (t) => {
  const tracks = [VIDEO, AUDIO];
  const sound = new Run(otherEpoch, { scopes: ['video', 'audio'], tracks });
  t.match(await witness.device.publish('stream', sound.streamPayload), {
    outcome: 'acked',
    codes: { length: 0 },
  });
  const { payload } = sound.next(4096, { scopes: ['video'] });
  t.match(await witness.device.publish('segment', payload), { codes: ['DECODE_INVALID'] });
});

attempt('an epoch that is not in the ledger yet is refused', async (t) => {
  for (const ahead of [epoch + 1, epoch + 1000, Number.MAX_SAFE_INTEGER]) {
    const future = new Run(ahead);
    const answer = await device.publish('stream', future.streamPayload);
    t.match(answer, { codes: [/CONSENT_MISSING|DECODE_INVALID/] }, `stream of epoch ${ahead}`);
    const { payload } = run.next(4096, { epoch: ahead });
    const later = await device.publish('segment', payload);
    t.match(later, { codes: [/CONSENT_MISSING|DECODE_INVALID/] }, `segment of epoch ${ahead}`);
  }
});

attempt('what was captured before the consent now in force is refused', async (t) => {
  await house.withdraw(camera.id);
  const now = await house.grant(camera.id, 'video');
  await refused(t, 'segment', run.next().payload, 'CONSENT_MISSING');
  await refused(t, 'stream', new Run(epoch).streamPayload, 'CONSENT_MISSING');
  await refused(t, 'gap', gapPayload(epoch), 'CONSENT_MISSING');
  const fresh = new Run(now);
  t.match(await device.publish('stream', fresh.streamPayload), {
    outcome: 'acked',
    codes: { length: 0 },
  });
  await store(t, fresh);
});

attempt(
  'a gap that makes no sense is refused, and one at the end of time harms nobody',
  async (t) => {
    const { epoch: now } = await house.device(camera.id);
    const good = Gap.decode(gapPayload(now));
    for (const over of [
      { reason: 99 },
      { reason: 0 },
      { durationUs: 0 },
      { bootId: 'x' },
      { code: 'NO_SUCH' },
    ])
      await refused(t, 'gap', Gap.encode({ ...good, ...over }).finish(), 'DECODE_INVALID');
    const far = { startAtUs: 2 ** 52, durationUs: 600_000_000 };
    t.match(await device.publish('gap', gapPayload(now, far)), { outcome: 'acked' });
    t.match(await device.publish('gap', gapPayload(now, { startAtUs: 0 })), { outcome: 'acked' });
    await house.stored(camera.id);
  },
);

attempt('a segment at the end of time harms nobody', async (t) => {
  const { epoch: now } = await house.device(camera.id);
  const fresh = new Run(now);
  await device.publish('stream', fresh.streamPayload);
  const far = { startAtUs: 2 ** 52, durationUs: 600_000_000 };
  const { payload, header } = fresh.next(4096, { ...far, startMonoUs: 2 ** 52 });
  const { outcome, codes } = await device.publish('segment', payload);
  t.equal(outcome, 'acked');
  if (codes.length === 0) stored.push(Buffer.from(header.sha256).toString('hex'));
  await house.stored(camera.id);
  t.equal((await house.device(camera.id)).cap, 'off');
});

attempt('a stream whose init is too large or missing is refused', async (t) => {
  const { epoch: now } = await house.device(camera.id);
  const fresh = new Run(now);
  const wire = Stream.decode(fresh.streamPayload);
  for (const init of [Buffer.alloc(0), Buffer.alloc(64 * 1024 + 1)])
    await refused(t, 'stream', Stream.encode({ ...wire, init }).finish(), 'DECODE_INVALID');
  for (const tracks of [
    [],
    [wire.tracks[0], wire.tracks[0]],
    [{ ...wire.tracks[0], codec: 'x'.repeat(65) }],
  ])
    await refused(
      t,
      'stream',
      Stream.encode(Object.assign({}, wire, { tracks })).finish(),
      'DECODE_INVALID',
    );
});

t.test('store and ledger are whole after all this', async (t) => {
  const report = await house.verify();
  t.match(report, { code: 0, faults: { length: 0 }, leftOver: { length: 0 } });
  t.equal(report.segments, witness.stored + stored.length);
});
