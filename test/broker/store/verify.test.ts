import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import t from 'tap';
import type { Report } from '../../../broker/store/findings.ts';
import { linesOf } from '../../../broker/store/findings.ts';
import { configIdentity } from '../../../broker/store/identities.ts';
import { newId } from '../../../broker/store/ids.ts';
import { repair } from '../../../broker/store/repair.ts';
import { seal, unseal } from '../../../broker/store/seal.ts';
import { openStore, type Store } from '../../../broker/store/store.ts';
import { inspect } from '../../../broker/store/verify.ts';
import { healthOf, infoOf, reportedOf } from '../../proto/tellings.ts';
import { eventOf } from './happened.ts';
import { putEpoch, putInit, type StoreHouse, storeHouse, storeSegment } from './house.ts';

type Lines = Pick<Report, 'segments' | 'snapshots' | 'bytes' | 'faults' | 'leftOver' | 'remedies'>;

async function found(store: Store, folder: string): Promise<Lines> {
  const { findings, ...counts } = await inspect(store, folder, () => undefined);
  return { ...counts, ...linesOf(findings) };
}

async function houseWith(t: Parameters<typeof storeHouse>[0], count: number): Promise<StoreHouse> {
  const house = await storeHouse(t);
  await putInit(house);
  for (let sequence = 0; sequence < count; sequence++) await storeSegment(house, { sequence });
  return house;
}

function pathOf(folder: string, blobId: string): string {
  return join(folder, 'blobs', blobId.slice(0, 10), blobId);
}

t.test('what was stored is found as it was stored', async (t) => {
  const { store } = await houseWith(t, 3);
  t.same(await found(store, t.testdirName), {
    segments: 3,
    snapshots: 0,
    bytes: 300,
    faults: [],
    leftOver: [],
    remedies: [],
  });
});

t.test('an object lost, damaged, shortened or exchanged is named as that', async (t) => {
  const { store } = await houseWith(t, 5);
  const rows = await store.index.selectFrom('segments').selectAll().orderBy('sequence').execute();
  const paths = rows.map(({ blob_id }) => pathOf(t.testdirName, blob_id));
  const [lost = '', damaged = '', short = '', exchanged = '', good = ''] = paths;
  rmSync(lost);
  const bytes = readFileSync(damaged);
  bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
  writeFileSync(damaged, bytes);
  writeFileSync(short, readFileSync(short).subarray(0, 50));
  writeFileSync(exchanged, readFileSync(good));
  const report = await found(store, t.testdirName);
  const faults = [...report.faults].sort((a, b) =>
    (a.split('/')[2] ?? '').localeCompare(b.split('/')[2] ?? ''),
  );
  t.match(faults, [
    /\/0: .*cannot be read/,
    /\/1: .*does not open/,
    /\/2: object .* has 50 bytes/,
    /\/3: .*does not open/,
  ]);
  t.match(report.remedies.join(), /object_missing: restore it from a backup/);
});

t.test('a row that says other bytes, or another init, is named', async (t) => {
  const { store } = await houseWith(t, 1);
  await store.index
    .updateTable('segments')
    .set({ sha256: 'f'.repeat(64) })
    .execute();
  await store.index
    .updateTable('streams')
    .set({ init_sha256: 'f'.repeat(64) })
    .execute();
  t.match(await found(store, t.testdirName), {
    faults: [/^segment .*: its bytes are not those/, /^stream .*: its init bytes are not those/],
  });
});

t.test('what nobody misses is left over and no fault', async (t) => {
  const { store, deviceId, streamId } = await houseWith(t, 1);
  const shard = readdirSync(join(t.testdirName, 'blobs'))[0];
  const stray = `${shard}-${'0'.repeat(32)}`;
  writeFileSync(pathOf(t.testdirName, stray), 'x');
  writeFileSync(join(t.testdirName, 'blobs', 'notes.txt'), 'x');
  writeFileSync(join(t.testdirName, 'blobs', shard ?? '', 'notes.txt'), 'x');
  writeFileSync(join(t.testdirName, 'keys', 'root.key.0123456789ab.tmp'), 'x');
  const blob = `${shard}-${'1'.repeat(32)}`;
  writeFileSync(pathOf(t.testdirName, blob), 'x');
  await store.index
    .insertInto('tombstones')
    .values({
      ...{ device_id: deviceId, stream_id: streamId, sequence: 9 },
      ...{ blob_id: blob, deleted_at_us: 1 },
    })
    .execute();
  const report = await found(store, t.testdirName);
  t.same(report.faults, []);
  t.match(report.leftOver, [
    '1 deleted segments',
    'blobs/notes.txt: not an object',
    `object ${stray}: no row names it`,
    `blobs/${shard}/notes.txt: not an object`,
    'root.key.0123456789ab.tmp: half written',
  ]);
  t.equal(report.leftOver.length, 5);
});

t.test('wrong sums and rows without their device are named', async (t) => {
  const { store, deviceId } = await houseWith(t, 2);
  await store.index.updateTable('totals').set({ segments: 7 }).execute();
  await sql`pragma foreign_keys = off`.execute(store.index);
  await sql`insert into anchors values ('cam-gone', 'boot', 1, 'camera', 1)`.execute(store.index);
  await sql`insert into deleted_ranges values ('cam-gone', 1, 2, 3)`.execute(store.index);
  const { faults } = await found(store, t.testdirName);
  t.match([...faults].sort(), [
    'index: 1 rows of anchors without their row of devices',
    'index: 1 rows of deleted_ranges without their row of devices',
    `totals of ${deviceId}: 7 segments, 200 bytes, and there are 2 segments, 200`,
  ]);
});

t.test('every sealed row is opened, and what does not open is given up when asked', async (t) => {
  const house = await houseWith(t, 0);
  const { store, deviceId, accountId } = house;
  const device = { device_id: deviceId, account_id: accountId };
  const epoch = await putEpoch(store, deviceId, ['video', 'device_info', 'device_log']);
  const at = { asOf: epoch, nowUs: 5 };
  await store.told.note(device, { noun: 'info', message: infoOf(epoch) }, at);
  await store.told.note(device, { noun: 'health', message: healthOf(epoch) }, at);
  await store.told.note(device, { noun: 'reported', message: reportedOf(epoch) }, at);
  const batchId = newId();
  const batch = { batchId, epoch, firstAtUs: 5, lastAtUs: 5, lines: ['{}'], dropped: 0 };
  await store.logs.put(device, batch, 5);
  const key = await store.keys.account(accountId);
  for (const version of [1, 2]) {
    const sealed = Buffer.concat(
      seal(key, configIdentity(device, version), Buffer.from('{"a":1}')),
    );
    await store.config.add({
      device_id: deviceId,
      version,
      at_us: 5,
      actor: 'x',
      how: 'api',
      sealed,
    });
  }
  t.same((await found(store, t.testdirName)).faults, []);

  await sql`update told set noun = 'other' where noun = 'health'`.execute(store.index);
  await sql`update told set epoch = 1 where noun = 'reported'`.execute(store.index);
  await sql`update config_versions set sealed = x'00' where version = 2`.execute(store.index);
  await sql`update log_batches set sealed = (select sealed from told limit 1)`.execute(store.index);
  const { findings } = await inspect(store, t.testdirName, () => undefined);
  t.match(
    findings.map(({ kind, what }) => `${kind} ${what}`),
    [
      new RegExp(`^row_damaged told ${deviceId}/other: .*does not open`),
      new RegExp(`^row_damaged told ${deviceId}/reported: it is of epoch 2, not 1`),
      new RegExp(`^row_damaged config_versions ${deviceId}/2: .*is not a sealed object`),
      new RegExp(`^row_damaged log_batches ${deviceId}/${batchId}: .*does not open`),
      /^told_uncovered told of/,
    ],
  );
  t.equal(findings.length, 5);
  const kept = await repair(store, findings, { acceptLoss: false, nowMs: 0 });
  t.equal(kept.remaining.length, 4, 'a backup may have them');
  await repair(store, findings, { acceptLoss: true, nowMs: 0 });
  t.same((await found(store, t.testdirName)).faults, []);
  t.match(await store.told.of(device), { info: { message: { epoch } }, health: null });
  const latest = await store.config.latest(deviceId);
  t.match(latest, { version: 2, how: /lost/ }, 'its number is not given twice');
  const opened = unseal(key, configIdentity(device, 2), latest?.sealed ?? new Uint8Array());
  t.equal(opened.toString(), '{}');
});

t.test('rows of an epoch that there was not, and rows without consent, are named', async (t) => {
  const house = await houseWith(t, 1);
  const { store, deviceId, accountId } = house;
  const device = { device_id: deviceId, account_id: accountId };
  const epoch = await putEpoch(store, deviceId, ['video', 'device_info']);
  await store.told.note(
    device,
    { noun: 'info', message: infoOf(epoch) },
    { asOf: epoch, nowUs: 5 },
  );
  await store.commit([
    eventOf(house, { epoch }),
    eventOf(house, { kind: 'clock_jumped', epoch }),
    eventOf(house, { kind: 'power_restored', epoch }),
  ]);
  t.same((await found(store, t.testdirName)).faults, []);
  await sql`update segments set epoch = 9`.execute(store.index);
  await sql`update events set epoch = 9 where kind = 'motion'`.execute(store.index);
  await sql`delete from granted where scope = 'device_info'`.execute(store.index);
  const report = await found(store, t.testdirName);
  const { faults } = report;
  t.match(faults, [
    // Its epoch is part of what it is sealed with.
    /^segment .*does not open/,
    `segments of ${deviceId}: 1 rows of an epoch that its ledger does not have`,
    `events of ${deviceId}: 1 rows of an epoch that its ledger does not have`,
    `told of ${deviceId}: it shares no device information`,
  ]);
  t.match(report.leftOver, [`events of ${deviceId} itself that are still to be forgotten`]);
  const { findings } = await inspect(store, t.testdirName, () => undefined);
  const { remaining } = await repair(store, findings, { acceptLoss: false, nowMs: 0 });
  t.same(remaining.map(({ kind }) => kind).sort(), [
    'epoch_unknown',
    'epoch_unknown',
    'object_damaged',
  ]);
  const span = { deviceId, fromUs: 0, toUs: 2e6 };
  t.same(
    (await store.events.list(span, 9)).map(({ kind }) => kind),
    ['motion'],
  );
});

t.test('a lost key is said once, not of everything that it opens', async (t) => {
  const { store, accountId } = await houseWith(t, 3);
  await store.keys.destroyAccount(accountId);
  const { faults, remedies } = await found(store, t.testdirName);
  t.match(faults, [`key of account ${accountId}`]);
  t.equal(faults.length, 1);
  t.match(remedies, ['key_lost: restore the folder keys']);
});

t.test('a damaged page of the index is named', async (t) => {
  const { store } = await houseWith(t, 3);
  await sql`pragma wal_checkpoint(truncate)`.execute(store.index);
  const { rows } = await sql<{ rootpage: number; page_size: number }>`
    select rootpage, page_size from sqlite_schema, pragma_page_size
    where name = 'segments_by_time'`.execute(store.index);
  const [page] = rows;
  const copy = join(t.testdirName, 'copy');
  for (const name of ['index.db', 'keys', 'blobs'])
    cpSync(join(t.testdirName, name), join(copy, name), { recursive: true });
  const file = join(copy, 'index.db');
  const bytes = readFileSync(file);
  const at = ((page?.rootpage ?? 1) - 1) * (page?.page_size ?? 0);
  bytes.fill(0xa5, at, at + 100);
  writeFileSync(file, bytes);
  const damaged = await openStore(copy, () => Date.now() * 1000);
  t.teardown(() => damaged.close());
  const { faults } = await found(damaged, copy);
  t.ok(faults.some((fault) => fault.startsWith('index: ')));
});
