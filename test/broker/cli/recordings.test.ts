// Recordings by the command line: list, play, export, delete.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Account } from '../../../broker/cli/recording-answers.ts';
import { listing } from '../../../broker/cli/recording-lines.ts';
import type { House } from '../portal/house.ts';
import { cutMotion, decode, probe, storeCut, storeGap } from '../portal/media.ts';
import { loggedIn } from './process.ts';

async function record(
  house: House,
): Promise<{ startAtUs: number; streamId: string; endUs: number }> {
  const { store, anna } = house;
  const startAtUs = Math.floor(house.nowUs() / 1e6) * 1e6 - 60e6;
  const options = { store, device: anna.device, epoch: anna.epoch, startAtUs };
  const cut = await cutMotion(house.folder);
  const one = await storeCut(cut, options);
  await storeGap(options, { startAtUs: one.endUs, durationUs: 2e6, reason: 'source_lost' });
  const two = await storeCut(cut, { ...options, startAtUs: one.endUs + 2e6 });
  return { startAtUs, streamId: one.streamId, endUs: two.endUs };
}

t.test('recordings are listed, played, exported and deleted', async (t) => {
  const { house, home, run, quick } = await loggedIn(t);
  const { startAtUs, streamId, endUs } = await record(house);
  const iso = (us: number): string => new Date(us / 1000).toISOString();
  const range = ['--from', iso(startAtUs), '--to', iso(endUs)];
  const list = await run('segments', 'list', 'Front door', '--from', '-5m');
  t.equal(list.out.split('\n').length, 1 + 18 + 1 + 1);
  t.match(list.out, /2\.0 s +- +gap +source_lost/);
  const json: { segments: unknown[]; gaps: unknown[] } = JSON.parse(
    (await quick('segments', 'list', 'Front door', '--json')).out,
  );
  t.strictSame([json.segments.length, json.gaps.length], [18, 1]);
  t.match(list.out, /START +LENGTH +SIZE +HOLDS +PIECE +CLOCK/);
  t.match(list.out, /source_lost \(CAPTURE_STALLED\)/);
  const told = await run('segments', 'timeline', 'Front door', ...range);
  t.equal(told.status, 0, told.err);
  t.match(told.out, /FROM +TO +LENGTH +WHAT +WHY\n\S+ +\S+ +8\.\d s +recorded\n/);
  t.match(told.out, / 2\.0 s +not consented\n/);
  t.match(
    told.out,
    /WHAT +TOGETHER +SHARE\nrecorded .*\nnot consented +2\.0 s .*\nin all .* 100\.0 %/,
  );
  const account: Account = JSON.parse(
    (await quick('segments', 'timeline', 'Front door', '--json')).out,
  );
  t.match(account.stretches.at(-1), { kind: 'not_running' });
  const played = await quick('play', 'Front door', ...range);
  t.match(played.out, /^http:\/\/127\.0\.0\.1:\d+\/play\/\S+\/index\.m3u8\n$/);
  t.equal((await probe(played.out.trim())).videoFrames, 486);
  t.match(await quick('play', 'Front door', '--minutes', '5'), { err: /goes on live/ });
  const path = join(home, 'out.mp4');
  const exported = await run('export', 'Front door', ...range, '-o', path);
  t.equal(exported.status, 0, exported.err);
  t.match(exported.out, /18 pieces/);
  t.match(exported.out, /2 streams/);
  t.match(exported.out, /1 gap: source_lost/);
  t.equal(await decode(path), 486);
  t.match(JSON.parse(await readFile(`${path}.json`, 'utf8')), { spansSeveralStreams: true });
  const one = await run('delete', 'Front door', '--segment', `${streamId}/0`, '--yes');
  t.match(one, { status: 0, out: 'deleted 1 piece\n' });
  t.match(await quick('delete', 'Front door', '--segment', `${streamId}/0`, '--yes'), {
    status: 66,
  });
  t.match(await quick('delete', 'Front door', ...range, '--yes'), { out: 'deleted 17 pieces\n' });
  t.match(await quick('export', 'Front door', ...range, '-o', path), { status: 66 });
  t.equal(await decode(path), 486, 'what was there before stays');
});

t.test('a listing says what the clock of the camera was worth', async (t) => {
  const common = { startAt: 'then', durationUs: 1e6, timeEstimated: false };
  const gap = { ...common, reason: 'spool_full', code: null, timeCorrectedUs: 0 };
  const rows = listing(
    [],
    [
      { ...gap, startAtUs: 3 },
      { ...gap, startAtUs: 1, timeCorrectedUs: 3600e6 },
      { ...gap, startAtUs: 2, timeCorrectedUs: -2e6 },
      { ...gap, startAtUs: 4, timeEstimated: true },
    ],
  );
  const clocks = ['corrected by +1 h 0 min', 'corrected by -2.0 s', '', 'estimated'];
  t.same(
    rows.map((cells) => cells.at(-1)),
    clocks,
  );
});

t.test('an export that breaks off or cannot be written leaves nothing behind', async (t) => {
  const { house, home, run, quick } = await loggedIn(t);
  const { startAtUs, streamId, endUs } = await record(house);
  const iso = (us: number): string => new Date(us / 1000).toISOString();
  const range = ['--from', iso(startAtUs), '--to', iso(endUs)];
  const missing = await quick('export', 'Front door', ...range, '-o', join(home, 'no', 'x.mp4'));
  t.match(missing, { status: 64, err: /cannot be written/ });
  const row = await house.store.media.segment(house.anna.device.device_id, streamId, 3);
  const shard = row?.blob_id.split('-')[0] ?? '';
  const blob = join(house.folder, 'data', 'blobs', shard, row?.blob_id ?? '');
  await writeFile(blob, 'damaged');
  const broken = await run('export', 'Front door', ...range, '-o', join(home, 'x.mp4'));
  t.equal(broken.status, 69, broken.err);
  t.match(broken.err, /broke off and nothing was written/);
  t.strictSame(await readdir(home), ['credentials.json']);
});
