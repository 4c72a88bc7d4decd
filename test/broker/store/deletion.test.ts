import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
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

t.test('a range into the future does not refuse what is recorded later', async (t) => {
  const house = await storeHouse(t);
  await house.store.deletion.range({ deviceId: house.deviceId, fromUs: 0, toUs: 2 ** 52 }, NOW_US);
  const later = segmentOf(house, { sequence: 1, startAtUs: NOW_US + 1 });
  t.same(await house.store.commit([later]), ['stored']);
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
