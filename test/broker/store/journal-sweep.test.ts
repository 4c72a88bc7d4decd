// What was erased is in no file of the index any more: read byte by byte, with the journal, after a
// crash, and with somebody else reading.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { newId } from '../../../broker/store/ids.ts';
import { openStore } from '../../../broker/store/store.ts';
import { eventually } from '../../e2e/processes.ts';
import { infoOf } from '../../proto/tellings.ts';
import { eventOf } from './happened.ts';
import { putEpoch, type StoreHouse, storeHouse } from './house.ts';

const PLANTED = 'planted-9c1f';
const NOW_US = 1e9;

/** Stores one of each that lies in the index itself; answers what of it may be found on the disk. */
async function filled(house: StoreHouse, atUs: number): Promise<Buffer[]> {
  const { store, deviceId, accountId } = house;
  const device = { device_id: deviceId, account_id: accountId };
  const epoch = await putEpoch(store, deviceId, ['video', 'device_info', 'device_log']);
  const info = { noun: 'info', message: infoOf(epoch) } as const;
  await store.told.note(device, info, { asOf: epoch, nowUs: 5 });
  // More than a page of the index, so that some of it lies apart.
  const line = JSON.stringify({ msg: randomBytes(8000).toString('base64') });
  const times = { firstAtUs: atUs, lastAtUs: atUs };
  const batch = { batchId: newId(), epoch, ...times, lines: [line, line], dropped: 0 };
  await store.logs.put(device, batch, 5);
  await store.commit([eventOf(house, { detail: PLANTED, epoch, start_at_us: atUs })]);
  const told = await store.index.selectFrom('told').select('sealed').executeTakeFirstOrThrow();
  const logs = await store.index
    .selectFrom('log_batches')
    .select('sealed')
    .executeTakeFirstOrThrow();
  const parts = [told.sealed, logs.sealed].map((sealed) => Buffer.from(sealed));
  return [...parts.map((sealed) => sealed.subarray(-200, -100)), Buffer.from(PLANTED)];
}

/**
 * How many of these are in files of the index. Read by another process: a file that is closed here takes
 * along the locks that SQLite has on it here.
 */
function found(folder: string, planted: readonly Buffer[]): number {
  const files = readdirSync(folder).filter((name) => name.startsWith('index.db'));
  const bytes = execFileSync('cat', files, { cwd: folder, maxBuffer: 64 << 20 });
  return planted.filter((one) => bytes.includes(one)).length;
}

async function erase(house: StoreHouse, atUs: number): Promise<void> {
  const { store, deviceId, accountId } = house;
  const span = { deviceId, fromUs: atUs, toUs: atUs + 100 };
  await store.told.erase(deviceId);
  await store.logs.remove({ device_id: deviceId, account_id: accountId }, span, NOW_US);
  await store.deletion.events(span, NOW_US);
}

/** Waits for the sweep of the start, so that no other is due. */
async function settled(t: Parameters<typeof storeHouse>[0] & { testdirName: string }) {
  const house = await storeHouse(t);
  const journal = join(t.testdirName, 'index.db-wal');
  await eventually('the journal of the start is empty', () => statSync(journal).size === 0);
  return house;
}

t.test('what was erased is in no file of the index, though somebody reads meanwhile', async (t) => {
  const house = await settled(t);
  const planted = await filled(house, 1000);
  t.equal(found(t.testdirName, planted), 3);
  await erase(house, 1000);
  await eventually('it is gone from the disk', () => found(t.testdirName, planted) === 0);

  const again = await filled(house, 2000);
  const reader = new DatabaseSync(join(t.testdirName, 'index.db'), { readOnly: true });
  t.teardown(() => reader.close());
  reader.exec('begin; select * from told;');
  await erase(house, 2000);
  const end = performance.now() + 1500;
  let slowestMs = 0;
  while (performance.now() < end) {
    const before = performance.now();
    await house.store.devices.seen([house.deviceId], 5);
    slowestMs = Math.max(slowestMs, performance.now() - before);
    await sleep(50);
  }
  t.ok(slowestMs < 1000, `nobody waits for it: ${slowestMs} ms`);
  t.ok(found(t.testdirName, again) > 0);
  reader.exec('commit');
  await eventually('it is gone from the disk', () => found(t.testdirName, again) === 0);
  const verb = await openStore(t.testdirName, () => 100);
  const third = await filled(house, 3000);
  await erase({ ...house, store: verb }, 3000);
  t.equal(found(t.testdirName, third), 3);
  await verb.close();
  t.equal(found(t.testdirName, third), 0, 'what another process erases goes when that ends');
});

t.test('what a crash left in the journal is gone after the next start', async (t) => {
  const house = await storeHouse(t);
  const planted = await filled(house, 1000);
  await erase(house, 1000);
  const copy = join(t.testdirName, 'crashed');
  mkdirSync(copy);
  execFileSync('cp', ['-r', 'index.db', 'index.db-wal', 'keys', copy], { cwd: t.testdirName });
  t.equal(found(copy, planted), 3, 'as a crash would leave it');
  const again = await openStore(copy, () => 100);
  t.teardown(() => again.close());
  await eventually('it is gone from the disk', () => found(copy, planted) === 0);
});
