// What an owner is told of every second of a camera's time.
import t from 'tap';
import type { Account, SegmentPage } from '../../../broker/cli/recording-answers.ts';
import { openHouse } from './house.ts';
import { cutSmall, type StoreOptions, storeCut, storeGap } from './media.ts';
import { iso } from './recorded.ts';

const S = 1e6;
const BOOT = '00000000-0000-4000-8000-000000000000';
type Test = Parameters<typeof openHouse>[0];

/** A house whose consent begins at `startAtUs`; the clock is an hour later. */
async function hourLater(t: Test) {
  const house = await openHouse(t);
  const { store, anna } = house;
  const startAtUs = Math.ceil(house.nowUs() / S) * S;
  house.advance(3600 * S);
  const token = await house.login(anna);
  const path = `/api/devices/${anna.device.device_id}`;
  const timeline = async (fromS: number, toS: number): Promise<Account> => {
    const [from, to] = [startAtUs + fromS * S, startAtUs + toS * S];
    const url = `${path}/timeline?from=${iso(from)}&to=${iso(to)}`;
    const account: Account = await house.json('GET', url, token);
    const sum = Object.values(account.totals).reduce((one, other) => one + other, 0);
    if (sum !== to - from) throw new Error(`the sum is ${sum}`);
    return account;
  };
  const options = { store, device: anna.device, epoch: anna.epoch, startAtUs };
  return { house, options, startAtUs, token, path, timeline };
}

/** Kind, whole seconds, reasons. */
const told = ({ stretches }: Account): string[] =>
  stretches.map(({ kind, durationUs, reasons }) =>
    `${kind} ${Math.round(durationUs / S)} ${reasons.join()}`.trimEnd(),
  );

const gap = (
  options: StoreOptions,
  atS: number,
  forS: number,
  reason: 'spool_full' | 'lease_expired' | 'no_motion' | 'not_wanted',
) => storeGap(options, { startAtUs: options.startAtUs + atS * S, durationUs: forS * S, reason });

t.test(
  'recorded, lost, not running, deleted, not consented and ahead are told apart',
  async (t) => {
    const { house, options, startAtUs, path, token, timeline } = await hourLater(t);
    const cut = await cutSmall(house.folder);
    await storeCut(cut, { ...options, lost: [3, 4] });
    await gap(options, 2, 3, 'spool_full');
    await gap(options, 9, 51, 'lease_expired');
    const { streamId } = await storeCut(cut, { ...options, startAtUs: startAtUs + 60 * S });
    await house.store.deletion.segment(options.device.device_id, streamId, 2, house.nowUs());
    const span = { deviceId: options.device.device_id, fromUs: startAtUs + 20 * S };
    await house.store.deletion.range({ ...span, toUs: startAtUs + 30 * S }, house.nowUs());
    t.same(told(await timeline(0, 69)), [
      'recorded 3',
      'lost 2 spool_full',
      'recorded 3',
      'not_running 1',
      'not_running 11 lease_expired',
      'deleted 10',
      'not_running 30 lease_expired',
      'recorded 2',
      'deleted 1',
      'recorded 5',
      'not_running 1 unheard',
    ]);
    const kinds = async (fromS: number, toS: number): Promise<string[]> =>
      told(await timeline(fromS, toS)).map((line) => line.replace(/ \d+/, ''));
    t.same(await kinds(3590, 7200), ['not_running unheard', 'ahead']);
    await house.json('POST', `${path}/consent/withdraw`, token, {});
    house.advance(600 * S);
    t.same(await kinds(3590, 7200), ['not_running unheard', 'not_consented', 'ahead']);
    t.same(told(await timeline(-100_000, -10)), ['not_consented 99990'], 'before it was his');
    house.advance(10 * 365 * 86_400 * S);
    const old = await house.login(house.anna);
    const account: Account = await house.json(
      'GET',
      `${path}/timeline?from=${iso(startAtUs + 8.2 * S)}&to=${iso(startAtUs + 9 * S)}`,
      old,
    );
    t.same(told(account), ['deleted 1 retention']);
  },
);

t.test(
  'without times all since the camera is his is told, and strangers are told nothing',
  async (t) => {
    const { house, path, token } = await hourLater(t);
    const { stretches }: Account = await house.json('GET', `${path}/timeline`, token);
    t.equal(stretches[0]?.fromUs, house.anna.device.created_at_us);
    t.ok(Math.abs((stretches.at(-1)?.toUs ?? 0) - house.nowUs()) < 10 * S);
    const other = await house.login(house.bert);
    t.equal((await house.ask('GET', `${path}/timeline`, other)).status, 404);
    t.equal((await house.ask('GET', `${path}/timeline`)).status, 401);
    house.advance(-86_400 * S);
    const early: Account = await house.json('GET', `${path}/timeline`, token);
    t.same(told(early), ['not_consented 0'], 'by a clock that was set back it is not his yet');
  },
);

t.test('a time in which recording was not wanted is neither lost nor an outage', async (t) => {
  const { options, timeline } = await hourLater(t);
  await gap(options, 0, 4, 'not_wanted');
  await gap(options, 4, 6, 'no_motion');
  await gap(options, 9, 2, 'lease_expired');
  const account = await timeline(0, 11);
  t.same(told(account), ['idle 4 not_wanted', 'idle 5 no_motion', 'not_running 2 lease_expired']);
  t.match(account.totals, { idle: 9 * S, not_running: 2 * S, lost: 0 });
});

t.test('a corrected time and an estimated one are marked, pieces and gaps alike', async (t) => {
  const { house, options, startAtUs, path, token } = await hourLater(t);
  const cut = await cutSmall(house.folder);
  const { streamId } = await storeCut(cut, { ...options, startAtUs: startAtUs - 86_400 * S });
  await storeGap(options, { startAtUs: startAtUs - 86_000 * S, durationUs: S, reason: 'refused' });
  const { index } = house.store;
  await index.updateTable('streams').set({ time_estimated: 1 }).execute();
  const list = (): Promise<SegmentPage> => house.json('GET', `${path}/segments`, token);
  const before = await list();
  t.ok(before.segments.every((piece) => piece.timeEstimated && piece.timeCorrectedUs === 0));
  t.match(before.gaps, [{ timeEstimated: true, timeCorrectedUs: 0 }]);
  const anchor = { device_id: options.device.device_id, boot_id: BOOT, source: 'server' };
  const offset_us = startAtUs - S;
  await house.store.anchors.note({ ...anchor, offset_us, at_us: house.nowUs() });
  const after = await list();
  t.equal(after.segments.length, cut.segments.length);
  t.ok(
    after.segments.every((piece) => !piece.timeEstimated && piece.timeCorrectedUs === 86_400 * S),
  );
  t.equal(after.segments[0]?.startAtUs, startAtUs);
  t.notOk(after.gaps[0]?.timeEstimated);
  t.not(after.gaps[0]?.timeCorrectedUs, 0);
  t.equal(after.segments[0]?.streamId, streamId);
});
