// Events and snapshots in the index: what is taken in, what replaces what, what is deleted.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import t from 'tap';
import { newId } from '../../../broker/store/ids.ts';
import { finishBegun, repair } from '../../../broker/store/repair.ts';
import type { Store } from '../../../broker/store/store.ts';
import { inspect } from '../../../broker/store/verify.ts';
import { BOOT, eventOf, snapshotOf, storeSnapshot } from './happened.ts';
import { putEpoch, putInit, storeHouse, storeSegment } from './house.ts';

const ALL = ['video', 'snapshot', 'device_info'] as const;

async function houseOf(t: Parameters<typeof storeHouse>[0]) {
  const house = await storeHouse(t);
  await putInit(house);
  await putEpoch(house.store, house.deviceId, ALL);
  const span = { deviceId: house.deviceId, fromUs: 0, toUs: Number.MAX_SAFE_INTEGER };
  const events = () => house.store.events.list(span, 100);
  const snapshots = () => house.store.snapshots.list(span, 100);
  return { house, store: house.store, deviceId: house.deviceId, span, events, snapshots };
}

const pathOf = (folder: string, blobId: string): string =>
  join(folder, 'blobs', blobId.slice(0, 10), blobId);

async function kindsFound(store: Store, folder: string): Promise<string[]> {
  const { findings } = await inspect(store, folder, () => undefined);
  return findings.map(({ kind }) => kind).sort();
}

t.test('the end of an event replaces what lasted, never the other way', async (t) => {
  const { house, store, events } = await houseOf(t);
  const event_id = newId();
  const begun = eventOf(house, { event_id, lasts: 1, peak: 40 });
  const ended = eventOf(house, { event_id, duration_us: 700, peak: 30, detail: 'over' });
  t.same(await store.commit([begun]), ['stored']);
  t.same(await store.commit([begun]), ['duplicate']);
  t.same(await store.commit([ended, begun]), ['stored', 'duplicate']);
  t.same(await store.commit([eventOf(house, { event_id, duration_us: 9 })]), ['duplicate']);
  t.match(await events(), [{ lasts: 0, duration_us: 700, peak: 40, detail: 'over' }]);
  const other = eventOf(house, { event_id: newId(), lasts: 1 });
  const stranger = eventOf(house, { event_id: other.row.event_id, kind: 'covered' });
  t.same(await store.commit([other, stranger]), ['stored', 'duplicate'], 'of another kind');
});

t.test('each kind of event needs its scope, under an epoch that there is', async (t) => {
  const { house, store, deviceId, events } = await houseOf(t);
  const outcomes = await store.commit([
    eventOf(house, { kind: 'motion', epoch: 1 }),
    eventOf(house, { kind: 'sound', epoch: 2 }),
    eventOf(house, { kind: 'power_restored', epoch: 1 }),
    eventOf(house, { kind: 'power_restored', epoch: 2 }),
    eventOf(house, { kind: 'motion', epoch: 99 }),
    snapshotOf(house, { epoch: 1 }),
    snapshotOf(house, { epoch: 2 }),
  ]);
  const no = 'CONSENT_MISSING';
  t.same(outcomes, ['stored', no, no, 'stored', no, no, 'stored']);
  await putEpoch(store, deviceId, ['snapshot']);
  const late = [eventOf(house, { epoch: 2 }), snapshotOf(house, { epoch: 2 })];
  t.same(await store.commit(late), [no, 'stored'], 'a still picture has a consent of its own');
  t.equal((await events()).length, 2);
});

t.test('an event is an alert by what the owner wanted when it came', async (t) => {
  const { house, store, deviceId, events } = await houseOf(t);
  t.same(await store.events.alertKinds(deviceId), []);
  await store.commit([eventOf(house, { start_at_us: 1 })]);
  await store.events.setAlertKinds(deviceId, ['motion', 'covered']);
  t.same(await store.events.alertKinds(deviceId), ['covered', 'motion']);
  await store.commit([
    eventOf(house, { start_at_us: 2 }),
    eventOf(house, { kind: 'moved', start_at_us: 3 }),
  ]);
  await store.events.setAlertKinds(deviceId, []);
  t.same(
    (await events()).map(({ is_alert }) => is_alert),
    [0, 1, 0],
  );
});

t.test('a snapshot is stored once, and other bytes under its id are refused', async (t) => {
  const { house, store, snapshots } = await houseOf(t);
  const { outcome, row } = await storeSnapshot(house, { epoch: 2 });
  t.equal(outcome, 'stored');
  const again = { ...snapshotOf(house), row: { ...row, blob_id: newId() } };
  const other = { ...again, row: { ...row, blob_id: newId(), sha256: 'other' } };
  t.same(await store.commit([again]), ['duplicate']);
  t.same(await store.commit([other]), ['SEGMENT_CONFLICT']);
  t.same(await snapshots(), [row]);
});

t.test('an anchor places events and snapshots, those stored and those to come', async (t) => {
  const { house, store, deviceId, events, snapshots } = await houseOf(t);
  await store.commit([eventOf(house), snapshotOf(house, { epoch: 2 })]);
  const offset_us = 1_700_000_000_000_000;
  const anchor = { device_id: deviceId, boot_id: BOOT, offset_us, source: 'camera', at_us: 9 };
  t.ok((await store.anchors.note(anchor)) >= 2);
  await store.commit([eventOf(house), snapshotOf(house, { epoch: 2 })]);
  const right = { start_at_us: offset_us + 1_000_000, corrected_us: offset_us };
  t.match(await events(), [right, right]);
  t.match(await snapshots(), [right, right]);
});

t.test('what is deleted is gone from index and disk, and does not come again', async (t) => {
  const { house, store, deviceId, events, snapshots } = await houseOf(t);
  const one = await storeSnapshot(house, { epoch: 2, start_at_us: 10 });
  const two = await storeSnapshot(house, { epoch: 2, start_at_us: 20 });
  const keep = await storeSnapshot(house, { epoch: 2, start_at_us: 90 });
  const lasting = eventOf(house, { start_at_us: 20, lasts: 1 });
  await store.commit([lasting, eventOf(house, { start_at_us: 95 })]);
  t.ok(await store.deletion.snapshot(deviceId, one.row.snapshot_id, 100));
  t.notOk(await store.deletion.snapshot(deviceId, one.row.snapshot_id, 100), 'twice');
  const span = { deviceId, fromUs: 0, toUs: 50 };
  t.equal(await store.deletion.snapshots(span, 100), 1);
  t.equal(await store.deletion.events(span, 100), 1);
  t.same(
    (await snapshots()).map(({ start_at_us }) => start_at_us),
    [90],
  );
  const end = { ...lasting, row: { ...lasting.row, lasts: 0, duration_us: 5 } };
  const again = [one, two].map(({ row }) => ({ ...snapshotOf(house), row }));
  t.same(await store.commit([end, ...again]), Array(3).fill('SEGMENT_DELETED'));
  t.same(
    (await events()).map(({ start_at_us }) => start_at_us),
    [95],
  );
  for (const { row } of [one, two]) t.notOk(existsSync(pathOf(t.testdirName, row.blob_id)));
  t.ok(existsSync(pathOf(t.testdirName, keep.row.blob_id)));
  t.same(await store.times.deleted({ ...span, toUs: 1000 }), [], 'no recording was deleted');
});

t.test('a deleted stretch of recordings takes along what happened in it', async (t) => {
  const { house, store, deviceId, events, snapshots } = await houseOf(t);
  await storeSegment(house, { sequence: 0, startAtUs: 100 });
  await storeSnapshot(house, { epoch: 2, start_at_us: 110 });
  await store.commit([eventOf(house, { start_at_us: 120 })]);
  t.equal(await store.deletion.range({ deviceId, fromUs: 100, toUs: 200 }, 1000), 1);
  t.same([await events(), await snapshots()], [[], []]);
  const late = [
    eventOf(house, { start_at_us: 150 }),
    snapshotOf(house, { epoch: 2, start_at_us: 150 }),
    eventOf(house, { start_at_us: 250 }),
  ];
  t.same(await store.commit(late), ['SEGMENT_DELETED', 'SEGMENT_DELETED', 'stored']);
});

t.test('a device that gives all it sends one id keeps nobody from deleting it', async (t) => {
  const { house, store, deviceId, events, snapshots } = await houseOf(t);
  const { streamId } = house;
  const [begin, end] = [100, 200];
  await storeSegment(house, { sequence: 0, startAtUs: begin });
  await storeSnapshot(house, { snapshot_id: streamId, epoch: 2, start_at_us: begin });
  await store.commit([eventOf(house, { event_id: streamId, start_at_us: begin })]);
  t.equal(await store.deletion.range({ deviceId, fromUs: begin, toUs: end }, 1000), 1);
  t.same([await events(), await snapshots()], [[], []]);
  t.same(await kindsFound(store, t.testdirName), [], 'and no object is left behind');
});

t.test('with its recordings everything that a device sent is buried', async (t) => {
  const { house, store, deviceId, events, snapshots } = await houseOf(t);
  const { row } = await storeSnapshot(house, { epoch: 2 });
  await store.commit([eventOf(house)]);
  await store.inTransaction((rows) => rows.bury(deviceId, 9));
  t.same([await events(), await snapshots()], [[], []]);
  t.ok(existsSync(pathOf(t.testdirName, row.blob_id)));
  await store.deletion.finish();
  t.notOk(existsSync(pathOf(t.testdirName, row.blob_id)));
});

t.test('a deletion that a crash interrupted is finished, and objects of none go', async (t) => {
  const { house, store, snapshots } = await houseOf(t);
  const dying = await storeSnapshot(house, { epoch: 2, start_at_us: 1 });
  const whole = await storeSnapshot(house, { epoch: 2, start_at_us: 2 });
  await sql`insert into tombstones (device_id, stream_id, sequence, blob_id, deleted_at_us)
    select device_id, snapshot_id, 0, blob_id, 9 from snapshots where start_at_us = 1`.execute(
    store.index,
  );
  await sql`delete from snapshots where start_at_us = 1`.execute(store.index);
  t.same(await kindsFound(store, t.testdirName), ['deletion_pending']);
  t.match(await finishBegun(store), { finished: 1, removed: 0 });
  t.notOk(existsSync(pathOf(t.testdirName, dying.row.blob_id)));
  t.same(await snapshots(), [whole.row]);
  await store.index.deleteFrom('snapshots').execute();
  t.same(await kindsFound(store, t.testdirName), ['object_unnamed']);
  t.match(await finishBegun(store), { finished: 0, removed: 1 });
  t.same(await kindsFound(store, t.testdirName), []);
});

t.test('a picture lost, shortened or exchanged is found, and given up when asked', async (t) => {
  const { house, store, deviceId, snapshots } = await houseOf(t);
  const [lost, short, exchanged, good] = await Promise.all(
    [1, 2, 3, 4].map((start_at_us) => storeSnapshot(house, { epoch: 2, start_at_us })),
  );
  if (!lost || !short || !exchanged || !good) throw new Error('four were stored');
  const path = ({ row }: typeof lost): string => pathOf(t.testdirName, row.blob_id);
  rmSync(path(lost));
  writeFileSync(path(short), readFileSync(path(short)).subarray(0, 50));
  writeFileSync(path(exchanged), readFileSync(path(good)));
  const { findings, ...counts } = await inspect(store, t.testdirName, () => undefined);
  t.same(counts, { segments: 0, snapshots: 4, bytes: 400 });
  t.same(findings.map(({ kind }) => kind).sort(), [
    'object_damaged',
    'object_missing',
    'object_size',
  ]);
  t.match(findings[0]?.what, `snapshot ${deviceId}/`);
  const kept = await repair(store, findings, { acceptLoss: false, nowMs: 0 });
  t.equal(kept.remaining.length, 3, 'not by itself');
  const given = await repair(store, findings, { acceptLoss: true, nowMs: 0 });
  t.same([given.mended.length, given.remaining], [3, []]);
  t.same(await snapshots(), [good.row]);
  t.same(await kindsFound(store, t.testdirName), []);
});
