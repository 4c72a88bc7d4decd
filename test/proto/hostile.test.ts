// Bad input to the decoders of what a camera tells, of configurations, events, logs and pictures: each
// fault is refused for what it is, nothing is guessed, and nothing grows beyond its bounds.
import { generateKeyPairSync } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import t from 'tap';
import {
  decodeReported,
  encodeReported,
  MAX_DOCUMENT_BYTES,
  MAX_SETTINGS_BYTES,
  type Reported,
  signDesiredConfig,
  verifyDesiredConfig,
} from '../../proto/desired-config.ts';
import { LenscapError } from '../../proto/errors.ts';
import { decodeEvent, type Event, encodeEvent } from '../../proto/event.ts';
import { text } from '../../proto/fields.ts';
import { decodeHealth, encodeHealth, type Vitals } from '../../proto/health.ts';
import { decodeInfo, encodeInfo, type Info, onlyNamed } from '../../proto/info.ts';
import { decodeLogBatch, encodeLogBatch, type LogBatch } from '../../proto/log-batch.ts';
import {
  decodeCommand,
  decodeSnapshot,
  encodeCommand,
  encodeSnapshot,
  type Snapshot,
} from '../../proto/snapshot.ts';
import { lenscap } from '../../proto/wire.ts';
import { seeded } from '../seeded.ts';
import { healthOf, infoOf, reportedOf, vitals } from './tellings.ts';

const bad = { code: 'DECODE_INVALID' };
const id = '0'.repeat(32);
const bootId = '11111111-2222-4333-8444-555555555555';

const event: Event = {
  eventId: id,
  kind: 'motion',
  bootId,
  startAtUs: 1,
  startMonoUs: 1,
  durationUs: 1,
  lasts: false,
  epoch: 1,
  peak: 1,
  code: null,
  detail: '',
};
const batch: LogBatch = {
  batchId: id,
  epoch: 1,
  firstAtUs: 1,
  lastAtUs: 2,
  lines: ['{"level":30}'],
  dropped: 0,
};
const snapshot: Snapshot = {
  snapshotId: id,
  bootId,
  atUs: 1,
  monoUs: 1,
  epoch: 1,
  cause: 'interval',
  causeId: null,
  width: 2,
  height: 2,
  sha256: new Uint8Array(32),
  media: Buffer.from('jpeg'),
};

t.test('cut, flipped and lengthened messages end in an error by code or a message', async (t) => {
  const random = seeded(t);
  const messages: [Uint8Array, (payload: Uint8Array) => unknown][] = [
    [encodeInfo(infoOf(1)), decodeInfo],
    [encodeHealth(healthOf(1)), decodeHealth],
    [encodeReported(reportedOf(1)), decodeReported],
    [encodeEvent(event), decodeEvent],
    [encodeLogBatch(batch), decodeLogBatch],
    [encodeSnapshot(snapshot), decodeSnapshot],
    [encodeCommand({ commandId: id, kind: 'take_snapshot' }), decodeCommand],
  ];
  let refused = 0;
  for (const [good, decode] of messages) {
    t.ok(decode(good));
    for (let round = 0; round < 2000; round++) {
      const bytes = Buffer.concat([good, Buffer.alloc(round % 5, 255)]);
      bytes.writeUInt8(Math.floor(random() * 256), Math.floor(random() * bytes.length));
      try {
        decode(bytes.subarray(0, Math.ceil(random() * bytes.length)));
      } catch (error) {
        if (!(error instanceof LenscapError) || error.code !== 'DECODE_INVALID') throw error;
        refused++;
      }
    }
  }
  t.ok(refused > 3000, `${refused} refused`);
});

t.test('device information is bounded, and only what is named is left of it', async (t) => {
  const changes: Partial<Info>[] = [
    { epoch: 0 },
    { interfaces: [{ name: 'x'.repeat(16), mac: null, addresses: [] }] },
    { interfaces: [{ name: 'eth0', mac: '02-00-5e-10-00-01', addresses: [] }] },
    { interfaces: [{ name: 'eth0', mac: null, addresses: ['x'.repeat(65)] }] },
    { storage: { totalBytes: 1, freeBytes: 2 } },
    { storage: { totalBytes: -1, freeBytes: 0 } },
  ];
  for (const change of changes)
    t.throws(() => decodeInfo(encodeInfo(infoOf(1, change))), bad, JSON.stringify(change));
  const wire = lenscap.v1.Info;
  for (const over of [
    { model: 'x'.repeat(65) },
    { interfaces: Array.from({ length: 17 }, () => ({ name: 'eth0' })) },
    { interfaces: [{ name: 'eth0', addresses: Array<string>(17).fill('::1') }] },
  ])
    t.throws(() => decodeInfo(wire.encode({ epoch: 1, ...over }).finish()), bad);
  t.throws(() => text('model', 'half a character \ud800', 64), bad);
  t.same(onlyNamed(infoOf(1), []), {
    model: null,
    serial: null,
    firmwareVersion: null,
    agentVersion: null,
    interfaces: null,
    storage: null,
  });
  t.match(onlyNamed(infoOf(1), ['serial number', 'health']), {
    serial: 'SN-0042-planted',
    model: null,
    interfaces: null,
  });
});

t.test('health outside what can be is refused', async (t) => {
  const changes: Partial<Vitals>[] = [
    { temperatureCelsius: 500 },
    { cpuPercent: 101 },
    { flashWearPercent: 1001 },
    { signalDbm: 101 },
    { clockOffsetMs: 2 ** 53 },
    { framesCaptured: 2 ** 60 },
    { uptimeS: -1 },
  ];
  for (const change of changes) {
    const health = healthOf(1, { vitals: { ...vitals, ...change } });
    t.throws(() => decodeHealth(encodeHealth(health)), bad, JSON.stringify(change));
  }
});

t.test('what is reported of a configuration is bounded and JSON', async (t) => {
  const changes: Partial<Reported>[] = [
    { epoch: 0 },
    { version: 0 },
    { settings: '' },
    { settings: '[]' },
    { settings: 'null' },
    { settings: '{' },
    { settings: `{"x":"${'x'.repeat(MAX_SETTINGS_BYTES)}"}` },
  ];
  for (const change of changes)
    t.throws(() => decodeReported(encodeReported(reportedOf(1, change))), bad);
  const settings = `{"x":"${'x'.repeat(MAX_DOCUMENT_BYTES)}"}`;
  t.match(
    decodeReported(encodeReported(reportedOf(1, { settings }))),
    { settings },
    'defaults too',
  );
  const wire = lenscap.v1.Reported;
  const most = { epoch: 1, version: 1, state: 2, settings: '{}' };
  t.ok(decodeReported(wire.encode(most).finish()));
  for (const over of [
    { state: 9 },
    { code: 'NO_SUCH_CODE' },
    { detail: 'x'.repeat(501) },
    { faults: Array.from({ length: 51 }, () => ({ path: '/', message: 'no' })) },
    { faults: [{ path: 'x'.repeat(257), message: 'no' }] },
  ])
    t.throws(() => decodeReported(wire.encode({ ...most, ...over }).finish()), bad);
});

t.test('a configuration is believed only as signed, and only by its device', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const deviceId = 'cam-abcdefghijklmnop';
  const bytes = signDesiredConfig({ deviceId, version: 1, document: '{}' }, privateKey);
  const refused = { code: 'GRANT_INVALID' };
  t.match(verifyDesiredConfig(bytes, publicKey, deviceId), { version: 1 });
  t.throws(() => verifyDesiredConfig(bytes, publicKey, 'cam-aaaaaaaaaaaaaaaa'), refused);
  const other = generateKeyPairSync('ed25519').publicKey;
  t.throws(() => verifyDesiredConfig(bytes, other, deviceId), refused);
  for (let at = 0; at < bytes.length; at++)
    t.throws(() => verifyDesiredConfig(bytes.subarray(0, at), publicKey, deviceId), refused);
  const huge = { deviceId, version: 1, document: 'x'.repeat(1 << 20) };
  t.throws(
    () => verifyDesiredConfig(signDesiredConfig(huge, privateKey), publicKey, deviceId),
    refused,
    'a megabyte',
  );
});

t.test('events outside what can be are refused', async (t) => {
  const changes: Partial<Event>[] = [
    { eventId: 'x' },
    { bootId: '../x' },
    { lasts: true, durationUs: 1 },
    { durationUs: 2 ** 52 },
    { epoch: 0 },
    { peak: 201 },
    { startAtUs: 2 ** 53 - 1 },
  ];
  for (const change of changes)
    t.throws(() => decodeEvent(encodeEvent({ ...event, ...change })), bad, JSON.stringify(change));
  const wire = lenscap.v1.Event.decode(encodeEvent(event));
  for (const over of [
    { kind: 0 },
    { kind: 99 },
    { code: 'constructor' },
    { detail: 'x'.repeat(201) },
  ])
    t.throws(() => decodeEvent(lenscap.v1.Event.encode({ ...wire, ...over }).finish()), bad);
});

t.test('log batches do not burst, and hold nothing but objects of JSON', async (t) => {
  const packed = (text: string | Buffer, lines: number): Uint8Array => {
    const wire = lenscap.v1.LogBatch.decode(encodeLogBatch(batch));
    return lenscap.v1.LogBatch.encode({ ...wire, lines, records: zstdCompressSync(text) }).finish();
  };
  t.match(decodeLogBatch(packed('{}\n', 1)), { lines: ['{}'] });
  const bomb = packed(Buffer.alloc(64 << 20, '{}\n'), 1);
  t.ok(bomb.length < 10_000, `${bomb.length} bytes of a bomb`);
  t.throws(() => decodeLogBatch(bomb), bad, 'a bomb');
  for (const [text, lines] of [
    ['{}\n', 2],
    ['{}', 1],
    ['\n', 1],
    ['[]\n', 1],
    ['{\n', 1],
    [`{"x":"${'x'.repeat(9000)}"}\n`, 1],
    [Buffer.from([0x7b, 0xff, 0x7d, 0x0a]), 1],
  ] as const)
    t.throws(() => decodeLogBatch(packed(text, lines)), bad, String(text).slice(0, 20));
  t.throws(() => decodeLogBatch(encodeLogBatch({ ...batch, lastAtUs: 0 })), bad, 'ends before');
});

t.test('snapshots and commands outside what can be are refused', async (t) => {
  const changes: Partial<Snapshot>[] = [
    { snapshotId: '' },
    { width: 0 },
    { height: 20_000 },
    { sha256: new Uint8Array(31) },
    { media: new Uint8Array(0) },
    { media: new Uint8Array((4 << 20) + 1) },
    { causeId: id },
    { cause: 'requested' },
    { cause: 'event', causeId: 'x' },
  ];
  for (const change of changes)
    t.throws(() => decodeSnapshot(encodeSnapshot({ ...snapshot, ...change })), bad);
  const sealing = { scheme: 'x', keyId: new Uint8Array(1) };
  const wire = lenscap.v1.Snapshot.decode(encodeSnapshot(snapshot));
  t.throws(() => decodeSnapshot(lenscap.v1.Snapshot.encode({ ...wire, sealing }).finish()), bad);
  const command = { commandId: id, kind: 7 };
  t.throws(() => decodeCommand(lenscap.v1.Command.encode(command).finish()), bad);
});
