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
  const { consent, take, held } = parts(house, () => nowUs);
  const { store, deviceId } = house;
  const epoch = await consent('device_log');
  for (const firstAtUs of [100, 200, 300]) {
    await take(batch(epoch, { firstAtUs, lastAtUs: firstAtUs + 50 }));
    nowUs += 1000;
  }
  t.equal(await store.logs.remove({ deviceId, fromUs: 150, toUs: 160 }), 1);
  t.equal(await store.logs.expire(deviceId, 3000), 1);
  t.same(
    (await held()).map(({ firstAtUs }) => firstAtUs),
    [300],
  );
  await store.inTransaction((rows) => rows.bury(deviceId, nowUs));
  t.same(await held(), []);
});
