// Events, alerts and snapshots by the command line.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Happening, Snapshot } from '../../../broker/cli/recording-answers.ts';
import { newId } from '../../../broker/store/ids.ts';
import { eventually } from '../../e2e/processes.ts';
import { eventOf, storeSnapshot } from '../store/happened.ts';
import { cancellable, loggedIn } from './process.ts';

async function ready(t: Parameters<typeof loggedIn>[0]) {
  const session = await loggedIn(t);
  const { store, consent, anna, nowUs } = session.house;
  const { sha256 } = await consent.policy();
  const by = { actor: anna.accountId, how: 'test' };
  const { epoch } = await consent.grant(anna.device, ['video', 'snapshot'], sha256, by);
  const owned = { store, accountId: anna.accountId, deviceId: anna.device.device_id };
  const at = { start_at_us: nowUs() - 5e6, received_at_us: nowUs(), epoch };
  return { ...session, owned, at };
}

t.test('events are listed, chosen as alerts, followed and deleted', async (t) => {
  const { home, quick, owned, at } = await ready(t);
  t.match(await quick('events', 'list', 'Front door'), { status: 0, err: /nothing has happened/ });
  t.match(await quick('alerts', 'show', 'Front door'), { out: 'none\n' });
  t.match(await quick('alerts', 'set', 'Front door', 'rain'), { status: 64, err: /no kind/ });
  const set = await quick('alerts', 'set', 'Front door', 'motion, covered');
  t.match(set, { status: 0, out: 'covered,motion\n' });
  const begun = eventOf(owned, { ...at, event_id: newId(), lasts: 1, peak: 12 });
  await owned.store.commit([begun, eventOf(owned, { ...at, kind: 'moved', detail: 'turned' })]);
  const list = await quick('events', 'list', 'Front door', '--from', '-1m');
  t.match(list.out, /BEGIN +LENGTH +WHAT +PEAK +WHY +CLOCK/);
  t.match(list.out, /lasts +motion \(alert\) +12 %/);
  t.match(list.out, / - +moved +turned/);
  const kind = await quick('events', 'list', 'Front door', '--kind', 'moved', '--json');
  const { events }: { events: Happening[] } = JSON.parse(kind.out);
  t.match(events, [{ kind: 'moved', alert: false }]);
  t.match(await quick('events', 'list', 'Front door', '--kind', 'rain'), { status: 64 });

  const { shown, end } = cancellable(home, ['events', 'list', 'Front door', '--follow']);
  await eventually('it has looked', async () => {
    const later = eventOf(owned, { ...at, kind: 'covered', event_id: newId() });
    await owned.store.commit([later]);
    return shown().includes('covered');
  });
  t.notMatch(shown(), 'turned', 'what was before is not told');
  await owned.store.commit([{ ...begun, row: { ...begun.row, lasts: 0, duration_us: 3e6 } }]);
  await eventually('the end is told', () => /3\.0 s +motion/.test(shown()));
  t.equal(await end(), 0);

  const range = ['--from', '-1m', '--to', 'now'];
  t.match(await quick('events', 'delete', 'Front door', ...range), { status: 64 });
  const gone = await quick('events', 'delete', 'Front door', ...range, '--yes');
  t.match(gone, { status: 0, out: /^deleted \d+ events/ });
  t.match(await quick('events', 'list', 'Front door'), { err: /nothing has happened/ });
});

t.test('snapshots are listed, fetched and deleted; none is taken by a camera away', async (t) => {
  const { house, quick, owned, at } = await ready(t);
  t.match(await quick('snapshot', 'list', 'Front door'), { err: /no snapshot is stored/ });
  const { row, media } = await storeSnapshot(owned, at);
  const list = await quick('snapshot', 'list', 'Front door');
  t.match(list.out, /TAKEN +SIZE +PIXELS +WHY +SNAPSHOT/);
  t.match(list.out, new RegExp(`100 B +64x48 +interval +${row.snapshot_id}`));
  const json = await quick('snapshot', 'list', 'Front door', '--json');
  const { snapshots }: { snapshots: Snapshot[] } = JSON.parse(json.out);
  t.match(snapshots, [{ snapshotId: row.snapshot_id, sha256: row.sha256 }]);
  const path = join(house.folder, 'one.jpg');
  const got = await quick('snapshot', 'get', 'Front door', row.snapshot_id, '-o', path);
  t.match(got, { status: 0, out: `${path}: 100 B, snapshot ${row.snapshot_id}\n` });
  t.same(readFileSync(path), media);
  const nowhere = join(house.folder, 'no', 'one.jpg');
  const lost = await quick('snapshot', 'get', 'Front door', row.snapshot_id, '-o', nowhere);
  t.match(lost, { status: 64, err: /cannot be written/ });
  const away = await quick('snapshot', 'take', 'Front door', '-o', `${path}.two`);
  t.match(away, { status: 69, err: /the camera is not connected/ });
  t.notOk(existsSync(`${path}.two`));
  const one = ['snapshot', 'delete', 'Front door', '--snapshot', row.snapshot_id];
  t.match(await quick(...one), { status: 64 });
  t.match(await quick(...one, '--yes'), { status: 0, out: 'deleted 1 snapshot\n' });
  t.match(await quick(...one, '--yes'), { status: 66 });
  t.match(await quick('snapshot', 'get', 'Front door', row.snapshot_id, '-o', path), {
    status: 66,
  });
});
