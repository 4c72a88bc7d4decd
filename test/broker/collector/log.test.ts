// Device logs at the collector: under consent of then and now, sealed, once; and their retention.
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import t from 'tap';
import { GroupCommit } from '../../../broker/collector/group-commit.ts';
import { LogTaking } from '../../../broker/collector/log.ts';
import { ConsentGate } from '../../../broker/consent/gate.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { encodeLogBatch, type LogBatch } from '../../../proto/log-batch.ts';
import type { Scope } from '../../../proto/scopes.ts';
import { putEpoch, type StoreHouse, storeHouse } from '../store/house.ts';

const ALL = { fromUs: 0, toUs: Number.MAX_SAFE_INTEGER };

function batch(epoch: number, more: Partial<LogBatch> = {}): LogBatch {
  const batchId = randomBytes(16).toString('hex');
  const lines = ['{"level":"info","msg":"a planted word: melusine"}'];
  return { batchId, epoch, firstAtUs: 10, lastAtUs: 20, lines, dropped: 0, ...more };
}

function parts(house: StoreHouse, nowUs = () => 1000) {
  const gate = new ConsentGate();
  const taking = new LogTaking({
    gate,
    logs: house.store.logs,
    groups: new GroupCommit({ ...house.store, minFreeBytes: 0 }),
    nowUs,
    log: pino({ level: 'silent' }),
  });
  const consent = async (...scopes: readonly Scope[]): Promise<number> => {
    const epoch = await putEpoch(house.store, house.deviceId, scopes);
    gate.set(house.deviceId, (await house.store.consent.standing(house.deviceId)).granted);
    return epoch;
  };
  const take = (sent: LogBatch) => taking.take(house, encodeLogBatch(sent));
  const device = { device_id: house.deviceId, account_id: house.accountId };
  const held = () => house.store.logs.page(device, ALL, 0, 100);
  return { gate, consent, take, held, device };
}

t.test('a batch is stored once, sealed, and opens to the same lines', async (t) => {
  const house = await storeHouse(t);
  const { consent, take, held } = parts(house);
  const epoch = await consent('device_log');
  const one = batch(epoch, { dropped: 7 });
  t.equal(await take(one), 'stored');
  t.equal(await take(one), 'stored', 'again is acknowledged');
  t.equal(await take({ ...one, lines: ['{"msg":"another"}'] }), 'stored');
  t.equal(await take(batch(epoch, { lines: [], dropped: 3 })), 'stored');
  const all = await held();
  t.same(
    all.map(({ dropped, lines }) => ({ dropped, lines })),
    [
      { dropped: 7, lines: one.lines },
      { dropped: 3, lines: [] },
    ],
  );
  const rows = await house.store.index.selectFrom('log_batches').selectAll().execute();
  t.notOk(JSON.stringify(rows.map(({ sealed }) => String(sealed))).includes('melusine'));
  t.ok(
    (all[1]?.receivedAtUs ?? 0) > (all[0]?.receivedAtUs ?? 0),
    'each is received later, though the clock stands',
  );
});

t.test('without consent, then and now and in between, nothing is stored', async (t) => {
  const house = await storeHouse(t);
  const { gate, consent, take, held } = parts(house);
  t.equal(await take(batch(1)), 'dropped', 'never given');
  const given = await consent('device_log');
  t.equal(await take(batch(given - 1)), 'dropped', 'written before it was given');
  t.equal(await take(batch(given + 1)), 'dropped', 'of an epoch that the ledger does not have');
  t.equal(await take(batch(given)), 'stored');
  await consent('video');
  t.equal(await take(batch(given)), 'dropped', 'withdrawn');
  const again = await consent('device_log');
  t.equal(await take(batch(given)), 'dropped', 'from before the withdrawal');
  t.equal(await take(batch(again)), 'stored');
  // The memory of the gate may be behind; the transaction is not.
  await consent();
  gate.set(house.deviceId, new Map([['device_log', 1]]));
  t.equal(await take(batch(again)), 'dropped');
  t.equal((await held()).length, 2, 'what was stored stays');
  // Nor is the index asked where the memory already says no.
  const last = await consent('device_log');
  gate.set(house.deviceId, new Map());
  t.equal(await take(batch(last)), 'dropped');
});

t.test(
  'what is no batch cuts the sender off, and a full disk keeps it on the device',
  async (t) => {
    const house = await storeHouse(t);
    const { consent, take, gate } = parts(house);
    const epoch = await consent('device_log');
    await t.rejects(take(batch(epoch, { lines: ['no object'] })), { code: 'DECODE_INVALID' });
    await t.rejects(take(batch(epoch, { lines: [`{"a":"${'x'.repeat(9000)}"}`] })), {
      code: 'DECODE_INVALID',
    });
    const long = `{"a":"${'x'.repeat(8000)}"}`;
    await t.rejects(take(batch(epoch, { lines: Array(40).fill(long) })), {
      code: 'DECODE_INVALID',
    });
    t.equal(await take(batch(epoch, { lines: Array(30).fill(long) })), 'stored');
    const full = new LogTaking({
      gate,
      logs: house.store.logs,
      groups: { checkRoom: () => Promise.reject(new LenscapError('STORE_FULL', 'full')) },
      nowUs: () => 1,
      log: pino({ level: 'silent' }),
    });
    await t.rejects(full.take(house, encodeLogBatch(batch(epoch))), { code: 'STORE_FULL' });
  },
);

t.test('batches go by span and by age, and with all that a device sent', async (t) => {
  const house = await storeHouse(t);
  let nowUs = 1000;
  const { consent, take, held, device } = parts(house, () => nowUs);
  const { store, deviceId } = house;
  const epoch = await consent('device_log');
  for (const firstAtUs of [100, 200, 300]) {
    await take(batch(epoch, { firstAtUs, lastAtUs: firstAtUs + 50 }));
    nowUs += 1000;
  }
  t.equal(await store.logs.remove(device, { deviceId, fromUs: 150, toUs: 260 }, nowUs), 1);
  t.equal(await store.logs.expire(deviceId, 3000), 1);
  t.same(
    (await held()).map(({ firstAtUs }) => firstAtUs),
    [300],
  );
  await store.inTransaction((rows) => rows.bury(deviceId, nowUs));
  t.same(await held(), []);
});

const timed = (atMs: number, msg = `at ${atMs}`): string =>
  JSON.stringify({ time: new Date(atMs).toISOString(), msg });

t.test(
  'of a stretch exactly its lines go, for good, and later ones of it are refused',
  async (t) => {
    const house = await storeHouse(t);
    const { consent, take, held, device } = parts(house, () => 60_000_000);
    const { store, deviceId } = house;
    const epoch = await consent('device_log');
    const times = (...atMs: number[]) => ({
      firstAtUs: Math.min(...atMs) * 1000,
      lastAtUs: Math.max(...atMs) * 1000,
      lines: atMs.map((ms) => timed(ms)),
    });
    const across = batch(epoch, { ...times(1000, 2000, 2999, 3000, 4000), dropped: 5 });
    const within = batch(epoch, times(2000, 2500));
    const lying = batch(epoch, { ...times(2100, 9000), firstAtUs: 9_000_000, lastAtUs: 9_000_000 });
    const silent = batch(epoch, { firstAtUs: 2_000_000, lastAtUs: 2_000_000 });
    const lost = batch(epoch, { firstAtUs: 2_000_000, lastAtUs: 2_000_000, lines: [], dropped: 3 });
    const late = [across, within, lying, silent, lost].map((one) => ({
      ...one,
      batchId: randomBytes(16).toString('hex'),
    }));
    for (const one of [across, within, lying, silent, lost]) t.equal(await take(one), 'stored');
    const many = Array.from({ length: 20 }, () => batch(epoch, times(1500, 2500)));
    for (const one of many) await store.logs.put(device, one, 1);
    const span = { deviceId, fromUs: 2_000_000, toUs: 3_000_000 };
    t.equal(await store.logs.remove(device, span, 60_000_000), 26);
    const rest = (await held()).slice(2).map(({ lines }) => lines);
    t.same(rest, Array(20).fill([timed(1500)]), 'more than are opened at a time');
    await store.logs.remove(device, { deviceId, fromUs: 1_500_000, toUs: 1_500_001 }, 60_000_000);
    const said = async () =>
      (await held()).map(({ lines }) => lines.map((one) => JSON.parse(one).msg));
    const left = [['at 1000', 'at 3000', 'at 4000'], ['at 9000']];
    t.same(await said(), left);
    t.equal((await held())[0]?.dropped, 5);
    for (const one of [across, within, lying, silent, lost]) t.equal(await take(one), 'stored');
    t.same(await said(), left, 'the same ones again bring nothing back');
    for (const one of late) t.equal(await take(one), 'stored');
    t.same(await said(), [...left, ...left], 'nor do others that hold lines of that time');
    t.equal(await store.logs.remove(device, span, 60_000_000), 0);
  },
);

t.test('who erases the whole log does not refuse what is noted later', async (t) => {
  const house = await storeHouse(t);
  const { consent, take, held, device } = parts(house, () => 60_000_000);
  const epoch = await consent('device_log');
  const at = (atUs: number) => batch(epoch, { firstAtUs: atUs, lastAtUs: atUs });
  await take(at(50_000_000));
  await take(at(70_000_000));
  const all = { ...ALL, deviceId: house.deviceId };
  t.equal(await house.store.logs.remove(device, all, 60_000_000), 2, 'a clock ahead saves nothing');
  await take(at(59_999_999));
  await take(at(60_000_000));
  t.same(
    (await held()).map(({ firstAtUs }) => firstAtUs),
    [60_000_000],
  );
  for (let fromUs = 0; fromUs < 5; fromUs++)
    await house.store.logs.remove(device, { ...all, fromUs: 5 - fromUs }, 60_000_000);
  const rows = await house.store.index.selectFrom('deleted_log_ranges').selectAll().execute();
  t.equal(rows.length, 1, 'what lies within another one is not kept');
});

t.test('a batch that does not open keeps the erasure from being half done', async (t) => {
  const house = await storeHouse(t);
  const { consent, take, held, device } = parts(house);
  const epoch = await consent('device_log');
  await take(batch(epoch, { firstAtUs: 10, lastAtUs: 11 }));
  await take(batch(epoch, { firstAtUs: 10, lastAtUs: 90 }));
  const { index, logs } = house.store;
  const [, second] = await index.selectFrom('log_batches').selectAll().execute();
  const sealed = Buffer.from(second?.sealed ?? []);
  sealed.writeUInt8(sealed.readUInt8(40) ^ 1, 40);
  await index.updateTable('log_batches').set({ sealed }).where('last_at_us', '=', 90).execute();
  const span = { deviceId: house.deviceId, fromUs: 5, toUs: 50 };
  await t.rejects(logs.remove(device, span, 100), { code: 'STORE_CORRUPT' });
  const count = await index.selectFrom('log_batches').select('batch_id').execute();
  t.equal(count.length, 2);
  t.same(await index.selectFrom('deleted_log_ranges').selectAll().execute(), []);
  t.equal(await logs.remove(device, { ...span, toUs: 91 }, 100), 2, 'as a whole it goes unopened');
  t.same(await held(), []);
});
