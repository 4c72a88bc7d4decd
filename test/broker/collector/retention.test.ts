// What is over its time is erased, but not because the clock of the server was set ahead.
import { Writable } from 'node:stream';
import { pino } from 'pino';
import t from 'tap';
import { Retention } from '../../../broker/collector/retention.ts';
import { eventually } from '../../e2e/processes.ts';
import { openHouse } from '../portal/house.ts';
import { cutSmall, storeCut } from '../portal/media.ts';
import { eventOf, storeSnapshot } from '../store/happened.ts';
import { putEpoch } from '../store/house.ts';

const DAY_US = 86_400e6;

t.test('what is over its time goes; a clock that was set ahead erases nothing', async (t) => {
  const house = await openHouse(t);
  const { store, installation, anna, nowUs } = house;
  const { device, epoch } = anna;
  await storeCut(await cutSmall(house.folder), { store, device, epoch, startAtUs: nowUs() });
  const { segments } = await store.media.totals(device.device_id);
  const left = async (): Promise<number> => (await store.media.totals(device.device_id)).segments;
  const days = await installation.consent.retentionDays(device.device_id);

  const lines: string[] = [];
  const held = Promise.withResolvers<void>();
  const write = (line: Buffer, _: unknown, done: () => void): void => {
    lines.push(String(line));
    if (String(line).includes('set ahead')) held.resolve();
    done();
  };
  const log = pino(new Writable({ write }));
  const retention = new Retention({ ...store, ...installation, log, intervalMs: 10 });
  house.advance((days + 1) * DAY_US);
  const abort = new AbortController();
  const running = retention.run(abort.signal);
  await held.promise;
  abort.abort();
  await running;
  t.equal(await left(), segments, 'all of it is there');
  t.notMatch(lines.join(''), 'over their time');

  await new Retention({ ...store, ...installation, log }).expire();
  t.equal(await left(), 0);
});

t.test('each kind of data goes at its own time', async (t) => {
  const house = await openHouse(t);
  const { store, installation, consent, anna, nowUs } = house;
  const deviceId = anna.device.device_id;
  const policy = await consent.policy();
  const by = { actor: anna.accountId, how: 'test' };
  const { snapshot } = policy.document.scopes;
  const scopes = { ...policy.document.scopes, snapshot: { ...snapshot, retentionDays: 3 } };
  const next = JSON.stringify({ ...policy.document, version: 2, scopes });
  await consent.publish(next, by);
  const { sha256 } = await consent.policy();
  const granted = ['video', 'snapshot', 'device_info'] as const;
  const { epoch } = await consent.grant(anna.device, granted, sha256, by);
  const owned = { store, accountId: anna.accountId, deviceId };
  const received_at_us = nowUs();
  await storeSnapshot(owned, { epoch, received_at_us });
  await store.commit([
    eventOf(owned, { epoch, received_at_us }),
    eventOf(owned, { kind: 'power_restored', epoch, received_at_us }),
  ]);
  const span = { deviceId, fromUs: 0, toUs: Number.MAX_SAFE_INTEGER };
  const left = async (): Promise<[number, number]> => [
    (await store.snapshots.list(span, 9)).length,
    (await store.events.list(span, 9)).length,
  ];
  const days = await consent.retention(deviceId);
  t.match(days, { snapshot: 3, video: 30 });
  const retention = new Retention({ ...store, ...installation, log: pino({ level: 'silent' }) });
  house.advance(2 * DAY_US);
  await retention.expire();
  t.same(await left(), [1, 2]);
  house.advance(2 * DAY_US);
  await retention.expire();
  t.same(await left(), [0, 2]);
  house.advance(30 * DAY_US);
  await retention.expire();
  t.same(await left(), [0, 0]);
});

t.test('what a withdrawal had no time to forget goes, whatever the clock says', async (t) => {
  const house = await openHouse(t);
  const { store, installation, anna, nowUs } = house;
  const deviceId = anna.device.device_id;
  const epoch = await putEpoch(store, deviceId, ['video', 'device_info']);
  const received_at_us = nowUs();
  await store.commit([
    eventOf({ deviceId }, { epoch, received_at_us }),
    eventOf({ deviceId }, { kind: 'power_restored', epoch, received_at_us }),
  ]);
  // The record alone, as a crash right after it leaves it.
  await putEpoch(store, deviceId, ['video']);
  const log = pino({ level: 'silent' });
  const retention = new Retention({ ...store, ...installation, log, intervalMs: 10 });
  house.advance(DAY_US);
  const abort = new AbortController();
  const running = retention.run(abort.signal);
  const span = { deviceId, fromUs: 0, toUs: Number.MAX_SAFE_INTEGER };
  const kinds = async () => (await store.events.list(span, 9)).map(({ kind }) => kind);
  try {
    await eventually('it is forgotten', async () => (await kinds()).join() === 'motion');
  } finally {
    abort.abort();
    await running;
  }
});
