import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import t, { type Test } from 'tap';
import { finishBegun, type Repair, repair } from '../../../broker/store/repair.ts';
import { inspect } from '../../../broker/store/verify.ts';
import { putInit, type StoreHouse, storeHouse, storeSegment } from './house.ts';

async function houseWith(t: Test, count: number): Promise<StoreHouse & { blobIds: string[] }> {
  const house = await storeHouse(t);
  await putInit(house);
  const blobIds: string[] = [];
  for (let sequence = 0; sequence < count; sequence++)
    blobIds.push((await storeSegment(house, { sequence })).blobId);
  return { ...house, blobIds };
}

function pathOf(t: Test, blobId: string): string {
  return join(t.testdirName, 'blobs', blobId.slice(0, 10), blobId);
}

async function mended(t: Test, { store }: StoreHouse, acceptLoss = false): Promise<Repair> {
  const { findings } = await inspect(store, t.testdirName, () => undefined);
  return repair(store, findings, { acceptLoss, nowMs: Date.now() });
}

async function isWhole(t: Test, { store }: StoreHouse): Promise<void> {
  const { findings } = await inspect(store, t.testdirName, () => undefined);
  t.same(findings, [], 'nothing more is found');
}

/** An object without a row, in the folder of that hour. */
async function orphanIn(t: Test, { store }: StoreHouse, shard: string): Promise<string> {
  const group = store.blobs.group();
  const made = group.write([Buffer.from('x')]);
  await group.commit();
  const blobId = `${shard}${made.slice(10)}`;
  if (blobId !== made) {
    await store.blobs.remove([made]);
    mkdirSync(join(t.testdirName, 'blobs', shard), { recursive: true });
    writeFileSync(pathOf(t, blobId), 'x');
  }
  return blobId;
}

t.test('a start removes what a crash left without a row, and nothing else', async (t) => {
  const house = await houseWith(t, 3);
  const shard = house.blobIds[0]?.slice(0, 10) ?? '';
  const orphans = [await orphanIn(t, house, shard), await orphanIn(t, house, shard)];
  t.same(await finishBegun(house.store), { finished: 0, removed: 2, kept: 0 });
  for (const orphan of orphans) t.notOk(existsSync(pathOf(t, orphan)));
  for (const blobId of house.blobIds) t.ok(existsSync(pathOf(t, blobId)));
  t.same(await finishBegun(house.store), { finished: 0, removed: 0, kept: 0 });
  await isWhole(t, house);
});

t.test('a start looks where something was written last, whatever the clock said', async (t) => {
  const house = await houseWith(t, 1);
  const shards = Array.from({ length: 12 }, (_, hour) => `20200101${String(hour + 10)}`);
  const orphans = [];
  for (const [age, shard] of shards.reverse().entries()) {
    orphans.push(await orphanIn(t, house, shard));
    // The hour of the clock then says nothing about when it was written.
    const at = Date.now() / 1000 + (shard.endsWith('11') ? 60 : -3600 * (age + 1));
    utimesSync(join(t.testdirName, 'blobs', shard), at, at);
  }
  const { removed } = await finishBegun(house.store);
  t.ok(removed >= 2 && removed <= 5, `${removed} of 12: the work is bounded`);
  const written = orphans.find((orphan) => orphan.startsWith('2020010111')) ?? '';
  t.notOk(existsSync(pathOf(t, written)), 'the one written last is among them');
  t.equal((await mended(t, house)).mended.length, 12 - removed, 'the rest is for a repair');
  await isWhole(t, house);
});

t.test('more than a crash can leave stays: the index may be an old one', async (t) => {
  const house = await houseWith(t, 1);
  const shard = house.blobIds[0]?.slice(0, 10) ?? '';
  for (let i = 0; i < 1100; i++)
    writeFileSync(pathOf(t, `${shard}-${String(i).padStart(32, '0')}`), 'x');
  t.same(await finishBegun(house.store), { finished: 0, removed: 0, kept: 1100 });
  t.same((await mended(t, house)).mended, [], 'nor does a repair remove them unasked');
  t.equal((await mended(t, house, true)).mended.length, 1100);
  await isWhole(t, house);
});

t.test('a repair mends what is safe, and says each thing it did', async (t) => {
  const house = await houseWith(t, 3);
  const { store, deviceId, streamId, blobIds } = house;
  const orphan = await orphanIn(t, house, blobIds[0]?.slice(0, 10) ?? '');
  await store.index.updateTable('totals').set({ segments: 9, bytes: 1 }).execute();
  await store.index.transaction().execute(async (trx) => {
    await trx.deleteFrom('segments').where('sequence', '=', 2).execute();
    const gone = { device_id: deviceId, stream_id: streamId, sequence: 2, deleted_at_us: 1 };
    await trx
      .insertInto('tombstones')
      .values({ ...gone, blob_id: blobIds[2] ?? '' })
      .execute();
  });
  const [old, fresh] = ['a', 'b'].map((name) =>
    join(t.testdirName, 'keys', `${name}.0123456789ab.tmp`),
  );
  for (const path of [old, fresh]) writeFileSync(path ?? '', 'x');
  utimesSync(old ?? '', 1, 1);
  const { mended: done, remaining } = await mended(t, house);
  t.match([...done].sort(), [
    /^counted anew: totals of/,
    /^finished the deletion of 1 segments/,
    `removed ${old}`,
    `removed object ${orphan}`,
  ]);
  t.match(remaining, [{ kind: 'temporary', path: fresh }], 'another verb may be writing it');
  t.equal(remaining.length, 1);
  rmSync(fresh ?? '');
  t.match(await store.media.totals(deviceId), { segments: 2, bytes: 200 });
  await isWhole(t, house);
});

t.test(
  'what a backup may have is left alone, until it is given up: then it is a gap',
  async (t) => {
    const house = await houseWith(t, 4);
    const { store, deviceId, blobIds } = house;
    rmSync(pathOf(t, blobIds[0] ?? ''));
    writeFileSync(pathOf(t, blobIds[1] ?? ''), 'x');
    const { mended: done, remaining } = await mended(t, house);
    t.same(done, []);
    t.same(remaining.map(({ kind }) => kind).sort(), ['object_missing', 'object_size']);
    t.equal((await mended(t, house, true)).mended.length, 2);
    const [row] = await store.index.selectFrom('streams').selectAll().execute();
    const gaps = await store.index.selectFrom('gaps').selectAll().orderBy('start_at_us').execute();
    t.match(
      gaps,
      [0, 1].map((sequence) => ({
        ...{ device_id: deviceId, reason: 'store_lost', code: 'STORE_CORRUPT', epoch: 1 },
        ...{ boot_id: row?.boot_id, start_at_us: sequence * 1_000_000, duration_us: 1_000_000 },
      })),
    );
    t.equal(gaps.length, 2);
    t.notOk(existsSync(pathOf(t, blobIds[1] ?? '')), 'the damaged object is gone');
    t.match(await store.media.totals(deviceId), { segments: 2 });
    await isWhole(t, house);
  },
);

t.test('an object that only cannot be read is not given up', async (t) => {
  const house = await houseWith(t, 2);
  const path = pathOf(t, house.blobIds[0] ?? '');
  renameSync(path, `${path}.away`);
  mkdirSync(path);
  const { mended: done, remaining } = await mended(t, house, true);
  t.same(done, []);
  t.match(remaining, [{ kind: 'object_unreadable', what: /EISDIR/ }, { kind: 'stranger' }]);
  rmdirSync(path);
  renameSync(`${path}.away`, path);
  await isWhole(t, house);
});

t.test('a stream that cannot be played any more is given up as a whole', async (t) => {
  const house = await houseWith(t, 3);
  await house.store.index
    .updateTable('streams')
    .set({ init_sha256: 'f'.repeat(64) })
    .execute();
  t.same((await mended(t, house)).mended, []);
  t.match(await mended(t, house, true), { mended: [/^noted as lost: stream .* with 3 segments/] });
  t.equal((await house.store.index.selectFrom('gaps').selectAll().execute()).length, 3);
  t.same(
    readdirSync(join(t.testdirName, 'blobs')).flatMap((shard) =>
      readdirSync(join(t.testdirName, 'blobs', shard)),
    ),
    [],
  );
  await isWhole(t, house);
});

t.test('rows of a device that is gone are removed when they are given up', async (t) => {
  const house = await houseWith(t, 2);
  const { index } = house.store;
  await sql`pragma foreign_keys = off`.execute(index);
  await sql`insert into anchors values ('cam-gone', 'boot', 1, 'camera', 1)`.execute(index);
  await index
    .updateTable('segments')
    .set({ device_id: 'cam-gone' })
    .where('sequence', '=', 0)
    .execute();
  await sql`delete from totals`.execute(index);
  await sql`insert into totals select device_id, count(*), sum(media_bytes) from segments group by 1`.execute(
    index,
  );
  await sql`pragma foreign_keys = on`.execute(index);
  t.same((await mended(t, house)).mended, []);
  t.match(await mended(t, house, true), {
    mended: [/rows of anchors .* 1 objects/, /rows of segments .* 0 objects/],
  });
  t.same(await index.selectFrom('gaps').selectAll().execute(), [], 'of nobody there is no gap');
  await isWhole(t, house);
});

t.test('with a damaged index nothing is removed', async (t) => {
  const house = await houseWith(t, 1);
  const orphan = await orphanIn(t, house, house.blobIds[0]?.slice(0, 10) ?? '');
  const { findings } = await inspect(house.store, t.testdirName, () => undefined);
  const damaged = { kind: 'index_damaged', what: 'index: a page' } as const;
  const options = { acceptLoss: true, nowMs: Date.now() };
  const { mended: done } = await repair(house.store, [...findings, damaged], options);
  t.same(done, []);
  t.ok(existsSync(pathOf(t, orphan)));
});
