// What is over its time is erased, but not because the clock of the server was set ahead.
import { Writable } from 'node:stream';
import { pino } from 'pino';
import t from 'tap';
import { Retention } from '../../../broker/collector/retention.ts';
import { openHouse } from '../portal/house.ts';
import { cutSmall, storeCut } from '../portal/media.ts';

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
