import { hash } from 'node:crypto';
import { pino } from 'pino';
import t from 'tap';
import { Collector } from '../../../broker/collector/collector.ts';
import { GroupCommit } from '../../../broker/collector/group-commit.ts';
import { ConsentGate } from '../../../broker/consent/gate.ts';
import { newId } from '../../../broker/store/ids.ts';
import { Keys } from '../../../broker/store/keys.ts';
import { encodeSegment } from '../../../proto/segment.ts';
import { encodeStream } from '../../../proto/stream.ts';
import { type StoreHouse, storeHouse } from '../store/house.ts';

/** A collector of a server that has just started: no key was read yet. */
async function started(house: StoreHouse, folder: string): Promise<Collector> {
  const gate = new ConsentGate();
  gate.set(house.deviceId, new Map([['video', 1]]));
  return new Collector({
    gate,
    consent: { infoInForce: async () => ({ epoch: 0, parts: [] }) },
    told: house.store.told,
    toldListeners: [],
    groups: new GroupCommit({ ...house.store, minFreeBytes: 0 }),
    keys: await Keys.open(`${folder}/keys`, false),
    devices: house.store.devices,
    anchors: house.store.anchors,
    logs: house.store.logs,
    nowUs: () => Date.now() * 1000,
    log: pino({ level: 'silent' }),
  });
}

const common = { startAtUs: 1, startMonoUs: 1, epoch: 1, scopes: ['video'] } as const;

function messages(): { stream: Uint8Array; segments: Uint8Array[] } {
  const streamId = newId();
  const track = { trackId: 1, codec: 'avc1.42c01f', timescale: 90000 };
  const size = { width: 64, height: 64, sampleRate: 0, channels: 0 };
  const stream = encodeStream({
    ...common,
    streamId,
    bootId: '11111111-2222-4333-8444-555555555555',
    tracks: [{ kind: 'video', ...track, ...size }],
    timeEstimated: false,
    init: Buffer.from('init'),
  });
  const segments = [0, 1, 2].map((sequence) => {
    const media = Buffer.alloc(1000, sequence);
    const sha256 = hash('sha256', media, 'buffer');
    const times = { durationUs: 1, decodeStartUs: 0 };
    return encodeSegment({ ...common, ...times, streamId, sequence, sha256 }, [media]);
  });
  return { stream, segments };
}

t.test('what a device sends in a row is taken in a row, from the first message on', async (t) => {
  const house = await storeHouse(t);
  for (let round = 0; round < 20; round++) {
    const collector = await started(house, t.testdirName);
    const { stream, segments } = messages();
    const replies = await Promise.all([
      collector.take(house, 'stream', stream),
      ...segments.map((segment) => collector.take(house, 'segment', segment)),
    ]);
    t.same(replies, ['stored', 'stored', 'stored', 'stored']);
  }
});

t.test('damaged media are refused for good, by their id', async (t) => {
  const house = await storeHouse(t);
  const collector = await started(house, t.testdirName);
  const { stream, segments } = messages();
  await collector.take(house, 'stream', stream);
  const damaged = Buffer.from(segments[0] ?? '');
  damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1);
  t.match(await collector.take(house, 'segment', damaged), {
    isFinal: true,
    verdict: { code: 'SEGMENT_HASH', erase: true, target: { kind: 'segment', sequence: 0 } },
  });
  await t.rejects(collector.take(house, 'segment', Buffer.from('x')), { code: 'DECODE_INVALID' });
});

t.test('what the server cannot store by its own fault stays on the camera', async (t) => {
  const house = await storeHouse(t);
  const collector = await started(house, t.testdirName);
  await house.store.keys.destroyAccount(house.accountId);
  const { stream } = messages();
  t.match(await collector.take(house, 'stream', stream), {
    isFinal: false,
    verdict: { code: 'STORE_CORRUPT', erase: false },
  });
});
