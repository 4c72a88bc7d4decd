// Without consent the server knows the id of a device, its certificate and when it connected, and
// nothing more: a device that sends everything there is, and then a look at every row, file and log
// line of the server.
import { hash, randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { encodeAnchor } from '../../../proto/anchor.ts';
import { encodeReported } from '../../../proto/desired-config.ts';
import { EVENT_KINDS, EVENT_SCOPES, encodeEvent } from '../../../proto/event.ts';
import { encodeHealth } from '../../../proto/health.ts';
import { encodeInfo } from '../../../proto/info.ts';
import { encodeLogBatch } from '../../../proto/log-batch.ts';
import { encodeSnapshot } from '../../../proto/snapshot.ts';
import { encodeApplied } from '../../../proto/verdict.ts';
import { lenscap } from '../../../proto/wire.ts';
import { connectPacket, gapPayload, type Packet, Run, TestDevice } from '../../e2e/device.ts';
import { eventually } from '../../e2e/processes.ts';
import { healthOf, infoOf, reportedOf, vitals } from '../../proto/tellings.ts';
import { Gate, OWNER } from '../mqtt/gate.ts';
import { columns, foundIn, IDENTITY, knownOf } from './known.ts';

const gate = await Gate.open(t);

/** In everything that a camera could tell; nothing of it may be found where consent does not cover it. */
const PLANTED = 'planted-5f2c';
const JPEG = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff]), Buffer.from(PLANTED)]);
const BOOT = 'deadbeef-2222-4333-8444-0123456789ab';

/** Names of what was captured or happened; not even these may be known without consent. */
function idsOf(): { gap: string; event: string; batch: string; snapshot: string; stream: string } {
  const id = (): string => randomBytes(16).toString('hex');
  return { gap: id(), event: id(), batch: id(), snapshot: id(), stream: id() };
}

/** Sends one of everything, as of this epoch; refused or not, the connection lives. */
async function tellEverything(
  device: TestDevice,
  epoch: number,
): Promise<ReturnType<typeof idsOf>> {
  const ids = idsOf();
  const atUs = Date.now() * 1000;
  const start = { bootId: BOOT, startAtUs: atUs, startMonoUs: 7_000_000 };
  const run = new Run(epoch, { ...start, streamId: ids.stream });
  const interfaces = [{ name: 'eth0', mac: '02:00:5e:10:00:01', addresses: [PLANTED] }];
  const info = infoOf(epoch, {
    model: PLANTED,
    serial: PLANTED,
    firmwareVersion: PLANTED,
    interfaces,
  });
  const settings = JSON.stringify({ label: { name: PLANTED } });
  const lines = [JSON.stringify({ level: 30, msg: PLANTED })];
  const cause = { cause: 'interval', causeId: null } as const;
  const still = { bootId: BOOT, atUs, monoUs: 7_000_000, epoch, ...cause, width: 2, height: 2 };
  const events = EVENT_KINDS.map((kind, at) =>
    encodeEvent({
      ...start,
      eventId: `${ids.event.slice(2)}${String(at).padStart(2, '0')}`,
      kind,
      durationUs: 0,
      lasts: false,
      epoch,
      peak: 0,
      code: null,
      // What of it may be stored somewhere has nothing that may not.
      detail: EVENT_SCOPES[kind] === 'video' ? '' : PLANTED,
    }),
  );
  const messages = [
    ['anchor', encodeAnchor({ bootId: BOOT, atUs, monoUs: 7_000_000, estimated: false })],
    ['applied', encodeApplied({ epoch, atUs })],
    ['info', encodeInfo({ ...info, agentVersion: PLANTED })],
    ['health', encodeHealth(healthOf(epoch, { vitals }))],
    ['reported', encodeReported(reportedOf(epoch, { detail: PLANTED, settings }))],
    ['stream', run.streamPayload],
    ['segment', run.next().payload],
    ['gap', gapPayload(epoch, { gapId: ids.gap, ...start })],
    ...events.map((payload) => ['event', payload] as const),
    [
      'log',
      encodeLogBatch({
        batchId: ids.batch,
        epoch,
        firstAtUs: atUs,
        lastAtUs: atUs,
        lines,
        dropped: 0,
      }),
    ],
    [
      'snapshot',
      encodeSnapshot({
        ...still,
        snapshotId: ids.snapshot,
        sha256: hash('sha256', JPEG, 'buffer'),
        media: JPEG,
      }),
    ],
  ] as const;
  for (const [noun, payload] of messages) {
    const { outcome } = await device.publish(noun, payload);
    if (outcome !== 'acked') throw new Error(`${noun} ended the connection`);
  }
  return ids;
}

/** What video covers besides: the recording, its interruptions, what was seen, and its time. */
const VIDEO_TIMES = 'device_id boot_id start_at_us start_mono_us epoch received_at_us corrected_us';
const OF_VIDEO = [
  ...columns('granted', 'device_id scope since_epoch'),
  ...columns('anchors', 'device_id boot_id offset_us source at_us'),
  ...columns('streams', `${VIDEO_TIMES} stream_id scopes tracks sealed_init init_sha256`),
  ...columns('streams', 'time_estimated'),
  ...columns('segments', 'device_id stream_id sequence start_at_us start_mono_us duration_us'),
  ...columns('segments', 'decode_start_us epoch scopes sha256 media_bytes blob_id received_at_us'),
  ...columns('segments', 'corrected_us'),
  ...columns('totals', 'device_id segments bytes'),
  ...columns('gaps', `${VIDEO_TIMES} gap_id duration_us reason`),
  ...columns('events', `${VIDEO_TIMES} event_id kind duration_us lasts peak detail is_alert`),
];

async function told(scopes: readonly ('video' | 'device_info')[]) {
  const camera = await gate.add('camera');
  const deviceId = camera.deviceId;
  const epoch = scopes.length > 0 ? await gate.grant(deviceId, ...scopes) : 1;
  const device = await TestDevice.connect(camera);
  const ids = await tellEverything(device, epoch);
  await device.close();
  // When it was last seen is written a moment after its end.
  const seen = async () => (await gate.row(deviceId)).last_seen_at_us !== null;
  await eventually('the time of its end', seen);
  return { deviceId, ids };
}

t.test('without any consent nothing is known but identity, certificate and times', async (t) => {
  const { deviceId, ids } = await told([]);
  t.same(await knownOf(gate.installation.store.index, deviceId), [...IDENTITY].sort());
  const words = [PLANTED, BOOT, '127.0.0.1', ...Object.values(ids)];
  t.same(foundIn(gate.installation.folder, gate.logged, words), []);
  const ledger = await gate.installation.store.consent.log(deviceId);
  t.equal(ledger.length, 1);
  t.match(ledger[0]?.record, /OWNER_CHANGED/);
});

t.test('not even what is refused, or ends badly, says more in the log of the server', async (t) => {
  const { deviceId } = await told([]);
  const bundle = await gate.add('hostile');
  const wire = lenscap.v1;
  const planted = { epoch: 1, version: 1, state: 2, settings: `{"name": ${PLANTED}` };
  const lines = zstdCompressSync(`${PLANTED}\n`);
  const refused = [
    ['reported', wire.Reported.encode(planted).finish()],
    ['info', wire.Info.encode({ epoch: 1, interfaces: [{ name: PLANTED.repeat(2) }] }).finish()],
    ['log', wire.LogBatch.encode({ epoch: 1, lines: 1, records: lines }).finish()],
    ['health', Buffer.from(PLANTED)],
    ['event', wire.Event.encode({ eventId: PLANTED, bootId: BOOT, kind: 1 }).finish()],
    ['snapshot', wire.Snapshot.encode({ snapshotId: PLANTED, media: JPEG, cause: 2 }).finish()],
  ] as const;
  for (const [noun, payload] of refused) {
    const device = await TestDevice.connect(bundle);
    t.equal((await device.publish(noun, payload)).outcome, 'closed', noun);
  }
  const will = { topic: PLANTED, payload: Buffer.from(PLANTED), qos: 0, retain: false } as const;
  const packet: Packet = {
    ...{ cmd: 'connect', clientId: bundle.deviceId, protocolId: 'MQTT', protocolVersion: 4 },
    ...{ clean: true, keepalive: 300, will },
  };
  const willing = await TestDevice.tryConnect(bundle, { packet });
  t.not(willing.connack, 0);
  const other = await TestDevice.tryConnect(bundle, { packet: connectPacket(deviceId) });
  t.not(other.connack, 0, 'as another device');
  await other.closed;
  await gate.says('device refused');
  await gate.says('connection ended');
  const { folder } = gate.installation;
  t.same(foundIn(folder, gate.logged, [PLANTED, BOOT, '127.0.0.1']), []);
});

t.test('with video alone nothing is known but that and what video covers', async (t) => {
  const { deviceId, ids } = await told(['video']);
  t.same(await knownOf(gate.installation.store.index, deviceId), [...IDENTITY, ...OF_VIDEO].sort());
  t.same(foundIn(gate.installation.folder, gate.logged, [PLANTED, ids.batch, ids.snapshot]), []);
  const { index } = gate.installation.store;
  const kinds = await index.selectFrom('events').select('kind').execute();
  t.same(kinds.map(({ kind }) => kind).sort(), ['covered', 'motion', 'moved']);
});

t.test('what was told is sealed, and gone with its consent', async (t) => {
  const { deviceId } = await told(['device_info']);
  const device = await gate.row(deviceId);
  const { consent, store } = gate.installation;
  t.match(await store.told.of(device), {
    info: { message: { serial: PLANTED } },
    health: { message: { vitals } },
    reported: { message: { detail: PLANTED } },
  });
  t.same(
    foundIn(gate.installation.folder, gate.logged, [PLANTED]).filter(
      (found) => !found.startsWith('index.db'),
    ),
    [],
  );
  const rows = await store.index.selectFrom('told').select('sealed').execute();
  t.equal(rows.length, 3);
  for (const { sealed } of rows) t.notOk(Buffer.from(sealed).includes(PLANTED));
  await consent.withdraw(device, ['device_info'], OWNER);
  t.same(await knownOf(store.index, deviceId), [...IDENTITY].sort(), 'events and boots too');
  t.match(await store.told.of(device), { info: null, health: null, reported: null });
});
