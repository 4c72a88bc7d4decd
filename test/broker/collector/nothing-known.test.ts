// Without consent the server knows the id of a device, its certificate and when it connected, and
// nothing more: a device that sends everything there is, and then a look at every row, file and log
// line of the server.
import { hash, randomBytes } from 'node:crypto';
import t from 'tap';
import { encodeAnchor } from '../../../proto/anchor.ts';
import { encodeReported } from '../../../proto/desired-config.ts';
import { EVENT_KINDS, EVENT_SCOPES, encodeEvent } from '../../../proto/event.ts';
import { encodeHealth } from '../../../proto/health.ts';
import { encodeInfo } from '../../../proto/info.ts';
import { encodeLogBatch } from '../../../proto/log-batch.ts';
import { encodeSnapshot } from '../../../proto/snapshot.ts';
import { encodeApplied } from '../../../proto/verdict.ts';
import { gapPayload, Run, TestDevice } from '../../e2e/device.ts';
import { eventually } from '../../e2e/processes.ts';
import { healthOf, infoOf, reportedOf, vitals } from '../../proto/tellings.ts';
import { Gate, OWNER } from '../mqtt/gate.ts';
import { columns, foundIn, IDENTITY, knownOf } from './known.ts';

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

async function told(gate: Gate, scopes: readonly ('video' | 'device_info')[]) {
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
  const gate = await Gate.open(t);
  const { deviceId, ids } = await told(gate, []);
  t.same(await knownOf(gate.installation.store.index, deviceId), [...IDENTITY].sort());
  t.same(
    foundIn(gate.installation.folder, gate.logged, [PLANTED, BOOT, ...Object.values(ids)]),
    [],
  );
  const ledger = await gate.installation.store.consent.log(deviceId);
  t.equal(ledger.length, 1);
  t.match(ledger[0]?.record, /OWNER_CHANGED/);
});

t.test('with video alone nothing is known but that and what video covers', async (t) => {
  const gate = await Gate.open(t);
  const { deviceId, ids } = await told(gate, ['video']);
  t.same(await knownOf(gate.installation.store.index, deviceId), [...IDENTITY, ...OF_VIDEO].sort());
  t.same(foundIn(gate.installation.folder, gate.logged, [PLANTED, ids.batch, ids.snapshot]), []);
  const { index } = gate.installation.store;
  const kinds = await index.selectFrom('events').select('kind').execute();
  t.same(kinds.map(({ kind }) => kind).sort(), ['covered', 'motion', 'moved']);
});

t.test('what was told is sealed, and gone with its consent', async (t) => {
  const gate = await Gate.open(t);
  const { deviceId } = await told(gate, ['device_info']);
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
  const known = await knownOf(gate.installation.store.index, deviceId);
  t.notOk(known.some((column) => column.startsWith('told.')));
  t.match(await store.told.of(device), { info: null, health: null, reported: null });
});
