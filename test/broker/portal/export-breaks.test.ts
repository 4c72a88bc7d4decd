// Exports of recordings with holes, of nothing, and of what came later.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parseBoxes } from '../../../broker/portal/mp4/boxes.ts';
import { measureSegment } from '../../../broker/portal/mp4/fragment.ts';
import { parseInit } from '../../../broker/portal/mp4/init.ts';
import { openHouse } from './house.ts';
import { cutByGstreamer, cutMotion, decode, probe, storeCut, storeGap } from './media.ts';
import { checkTimes, iso, ready } from './recorded.ts';

t.test('a hole is closed up and said', async (t) => {
  const { house, options, startAtUs, fetchFile, manifest } = await ready(t);
  const cut = await cutMotion(house.folder);
  const { endUs } = await storeCut(cut, { ...options, startAtUs, lost: [2, 5, 6] });
  const path = await fetchFile(startAtUs, endUs);
  t.equal(await decode(path), 243 - 90);
  const { durationS, videoFrames } = await probe(path);
  t.equal(videoFrames, 243 - 90);
  t.ok(durationS > 5 && durationS < 5.5, `${durationS} s`);
  await checkTimes(t, path);
  const { breaks } = await manifest(startAtUs, endUs);
  t.match(breaks, [
    { kind: 'pieces_missing', missing: [{ first: 2, last: 2 }], closedUpUs: 1e6 },
    { kind: 'pieces_missing', missing: [{ first: 5, last: 6 }], closedUpUs: 2e6 },
  ]);
});

t.test('a pause in which recording was not wanted is told as that', async (t) => {
  const { house, options, startAtUs, token, url, fetchFile, manifest } = await ready(t);
  const whole = await cutMotion(house.folder);
  // Numbers go on where recording paused, decode times do not.
  const segments = whole.segments.filter((_, at) => at < 3 || at > 4);
  const { endUs } = await storeCut({ ...whole, segments }, { ...options, startAtUs });
  await storeGap(options, { startAtUs: startAtUs + 3e6, durationUs: 2e6, reason: 'no_motion' });
  const path = await fetchFile(startAtUs, endUs);
  t.equal(await decode(path), 243 - 60);
  await checkTimes(t, path);
  const { breaks } = await manifest(startAtUs, endUs);
  t.match(breaks, [{ kind: 'paused', reasons: ['no_motion'], closedUpUs: 2e6 }]);
  const device = url('play', startAtUs, endUs).split('?')[0] ?? '';
  const span = { from: iso(startAtUs), to: iso(endUs) };
  const { url: list } = await house.json<{ url: string }>('POST', device, token, span);
  const text = await (await house.ask('GET', list)).text();
  t.match(text, /no pictures from .*: no_motion\n#EXT-X-DISCONTINUITY\n/);
  t.equal(text.match(/#EXT-X-DISCONTINUITY/g)?.length, 1);
  t.equal(await decode(list), 243 - 60);
});

t.test('a hundred breaks do not drift sound and picture apart', async (t) => {
  const { house, options, startAtUs, fetchFile } = await ready(t);
  const cut = await cutByGstreamer(house.folder);
  let at = startAtUs - 3600e6;
  const first = at;
  const lost = [1, 3, 5, 7];
  for (let turn = 0; turn < 20; turn += 1)
    at = (await storeCut(cut, { ...options, startAtUs: at, lost })).endUs;
  const path = await fetchFile(first, at);
  await checkTimes(t, path);
  const bytes = await readFile(path);
  const tracks = new Map(parseInit(bytes).map((track) => [track.trackId, track]));
  const body = bytes.subarray(parseBoxes(bytes).find(({ type }) => type === 'moof')?.start);
  const ends = [...measureSegment(body, tracks)].map(
    ([id, { end }]) => end / (tracks.get(id)?.timescale ?? 1),
  );
  t.ok(Math.abs((ends[0] ?? 0) - (ends[1] ?? 0)) < 0.5, `${ends}`);
  t.equal(await decode(path), 20 * (cut.frames - 4 * 30));
});

t.test(
  'streams that overlap by a wrong clock are all in the export, one after the other',
  async (t) => {
    const { house, options, startAtUs, fetchFile, manifest } = await ready(t);
    const cut = await cutMotion(house.folder);
    const one = await storeCut(cut, { ...options, startAtUs });
    const other = await storeCut(cut, { ...options, startAtUs: startAtUs + 500_000 });
    const path = await fetchFile(startAtUs, other.endUs);
    t.equal(await decode(path), 2 * 243);
    await checkTimes(t, path);
    const { pieces, account } = await manifest(startAtUs, other.endUs);
    t.same(
      pieces.map(({ streamId }) => streamId),
      [...Array(9).fill(one.streamId), ...Array(9).fill(other.streamId)],
    );
    t.same(
      account.stretches.map(({ kind }) => kind),
      ['recorded'],
    );
    t.equal(account.totals.recorded, account.stretches[0]?.durationUs);
  },
);

t.test('nothing stored of a time is not found', async (t) => {
  const { house, token, url, startAtUs } = await ready(t);
  for (const kind of ['export', 'export/manifest'])
    t.match(await (await house.ask('GET', url(kind, startAtUs, startAtUs + 1e6), token)).json(), {
      code: 'NOT_FOUND',
    });
});

t.test('what came in after a manifest is not in the export that names it', async (t) => {
  const { house, options, startAtUs, manifest, url, token } = await ready(t);
  const cut = await cutMotion(house.folder);
  const one = await storeCut(cut, { ...options, startAtUs });
  const { asOf } = await manifest(startAtUs, startAtUs + 60e6);
  const receivedAtUs = house.nowUs() + 1e6;
  await storeCut(cut, { ...options, startAtUs: one.endUs, receivedAtUs });
  const later = `${url('export', startAtUs, startAtUs + 60e6)}&asOf=${asOf}`;
  const path = join(house.folder, 'as-of.mp4');
  await writeFile(path, Buffer.from(await (await house.ask('GET', later, token)).arrayBuffer()));
  t.equal(await decode(path), 243);
});

t.test('a manifest leaves out no gap unsaid', async (t) => {
  const { store, anna, login, ask } = await openHouse(t);
  const device_id = anna.device.device_id;
  const boot_id = '00000000-0000-4000-8000-000000000000';
  const common = { device_id, boot_id, start_mono_us: 1, duration_us: 1, epoch: anna.epoch };
  const rest = { reason: 'source_lost', code: null, received_at_us: 1, corrected_us: 0 };
  const gaps = Array.from({ length: 50_001 }, (_, at) => ({
    ...{ ...common, ...rest },
    gap_id: at.toString(16).padStart(32, '0'),
    start_at_us: at * 1e6,
  }));
  for (let at = 0; at < gaps.length; at += 2000)
    await store.index
      .insertInto('gaps')
      .values(gaps.slice(at, at + 2000))
      .execute();
  const token = await login(anna);
  const path = `/api/devices/${device_id}/export/manifest`;
  const all = await ask('GET', path, token);
  t.equal(all.status, 400);
  t.match(await all.json(), { code: 'REQUEST_INVALID', message: /more than 50000 gaps/ });
  const some = await ask('GET', `${path}?from=1970-01-01T00:00:30Z`, token);
  t.match(
    await some.json(),
    { code: 'NOT_FOUND' },
    'of less time it is what is stored that counts',
  );
});
