import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Candidate } from '../../../broker/store/commit.ts';
import { newId } from '../../../broker/store/ids.ts';
import { segmentOf, storeHouse, storeSegment } from './house.ts';

const NOW_US = 10_000_000_000;

t.test('a deleted segment is gone, its file too, and comes back by no late upload', async (t) => {
  const house = await storeHouse(t);
  const { deviceId, streamId, store } = house;
  const { blobId } = await storeSegment(house, { sequence: 3 });
  t.equal(await store.deletion.segment(deviceId, streamId, 3, NOW_US), true);
  t.equal(await store.media.segment(deviceId, streamId, 3), undefined);
  await t.rejects(store.blobs.read(blobId), { code: 'STORE_CORRUPT' });
  t.same(await store.commit([segmentOf(house, { sequence: 3 })]), ['SEGMENT_DELETED']);
  t.equal(await store.deletion.segment(deviceId, streamId, 3, NOW_US), false, 'twice is fine');
});

t.test('a deleted range refuses late uploads of that time and leaves the rest', async (t) => {
  const house = await storeHouse(t);
  const { deviceId, store } = house;
  for (const sequence of [1, 2, 3, 4]) await storeSegment(house, { sequence });
  const span = { deviceId, fromUs: 2_000_000, toUs: 4_000_000 };
  t.equal(await store.deletion.range(span, NOW_US), 2);
  t.same(await store.media.totals(deviceId), { segments: 2, bytes: 200, lastEndUs: 5_000_000 });
  const left = await store.media.segments({ deviceId, fromUs: 0, toUs: NOW_US }, 10);
  t.same(
    left.map(({ sequence }) => sequence),
    [1, 4],
  );
  const late = segmentOf(house, { sequence: 9, startAtUs: 2_500_000 });
  t.same(await store.commit([late]), ['SEGMENT_DELETED']);
});

t.test('what reaches beyond a deleted range is still told', async (t) => {
  const house = await storeHouse(t);
  const { deviceId, store } = house;
  const gap = (startS: number, forS: number): Candidate => ({
    kind: 'gap',
    scopes: ['video'],
    row: {
      device_id: deviceId,
      gap_id: newId(),
      boot_id: '11111111-2222-4333-8444-555555555555',
      start_at_us: startS * 1e6,
      start_mono_us: 1,
      duration_us: forS * 1e6,
      reason: 'source_lost',
      epoch: 1,
      code: null,
      received_at_us: 5,
      corrected_us: 0,
    },
  });
  await store.commit([gap(2, 1), gap(3, 1), gap(3, 60)]);
  for (const sequence of [1, 2]) await storeSegment(house, { sequence });
  await storeSegment(house, { sequence: 3, startAtUs: 3_900_000 });
  const span = { deviceId, fromUs: 2_000_000, toUs: 4_000_000 };
  t.equal(await store.deletion.range(span, NOW_US), 2);
  const left = await store.media.gaps({ deviceId, fromUs: 0, toUs: NOW_US });
  t.same(
    left.map(({ duration_us }) => duration_us),
    [60e6],
  );
  t.same(await store.times.deleted({ deviceId, fromUs: 0, toUs: NOW_US }), [
    { fromUs: 2_000_000, toUs: 4_000_000 },
    { fromUs: 3_900_000, toUs: 4_900_000 },
  ]);
  t.same(await store.commit([gap(2, 2), gap(3, 5)]), ['SEGMENT_DELETED', 'stored']);
  await store.deletion.segment(deviceId, house.streamId, 1, NOW_US);
  const [single] = await store.times.deleted({ deviceId, fromUs: 0, toUs: NOW_US });
  t.same(single, { fromUs: 1_000_000, toUs: 2_000_000 }, 'a single piece too');
});

t.test('a range into the future does not refuse what is recorded later', async (t) => {
  const house = await storeHouse(t);
  await house.store.deletion.range({ deviceId: house.deviceId, fromUs: 0, toUs: 2 ** 52 }, NOW_US);
  const later = segmentOf(house, { sequence: 1, startAtUs: NOW_US + 1 });
  t.same(await house.store.commit([later]), ['stored']);
  const { deviceId, store } = house;
  await store.deletion.range({ deviceId, fromUs: NOW_US, toUs: NOW_US + 1 }, NOW_US);
  t.same(
    await store.times.deleted({ deviceId, fromUs: 0, toUs: 2 ** 52 }),
    [{ fromUs: 0, toUs: NOW_US }],
    'of one that is all to come nothing is noted',
  );
});

t.test('a deletion that a crash interrupted is finished', async (t) => {
  const house = await storeHouse(t);
  const { store, deviceId } = house;
  const { blobId } = await storeSegment(house, { sequence: 1 });
  await store.index
    .insertInto('tombstones')
    .values({
      device_id: deviceId,
      stream_id: house.streamId,
      sequence: 1,
      blob_id: blobId,
      deleted_at_us: 1,
    })
    .execute();
  await store.index.deleteFrom('segments').execute();
  t.equal(await store.deletion.finish(), 1);
  await t.rejects(store.blobs.read(blobId), { code: 'STORE_CORRUPT' });
  t.equal(await store.deletion.finish(), 0);
});

t.test('what is over its time is erased by when it was taken in', async (t) => {
  const house = await storeHouse(t);
  await storeSegment(house, { sequence: 1 });
  t.equal(await house.store.deletion.expire(house.deviceId, 5, NOW_US), 0);
  t.equal(await house.store.deletion.expire(house.deviceId, 6, NOW_US), 1);
});

t.test('a destroyed account key makes everything of the account unreadable', async (t) => {
  const house = await storeHouse(t);
  await storeSegment(house, { sequence: 1 });
  await house.store.keys.destroyAccount(house.accountId);
  await t.rejects(house.store.keys.account(house.accountId), { code: 'STORE_CORRUPT' });
  const accounts = join(t.testdirName, 'keys', 'accounts');
  t.ok(existsSync(accounts));
  t.same(readdirSync(accounts), []);
});
