// Exports: one MP4 that ffprobe and ffmpeg read without a complaint, and a manifest that says what is
// in it and what is not.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Manifest } from '../../../broker/cli/answers.ts';
import { parseBoxes } from '../../../broker/portal/mp4/boxes.ts';
import { measureSegment } from '../../../broker/portal/mp4/fragment.ts';
import { parseInit } from '../../../broker/portal/mp4/init.ts';
import { openHouse } from './house.ts';
import {
  cutByGstreamer,
  cutMotion,
  cutSmall,
  decode,
  probe,
  run,
  storeCut,
  storeGap,
} from './media.ts';

const iso = (us: number): string => `${new Date(Math.floor(us / 1000)).toISOString()}`;

async function ready(t: Parameters<typeof openHouse>[0]) {
  const house = await openHouse(t);
  const { store, anna } = house;
  const startAtUs = Math.floor(house.nowUs() / 1e6) * 1e6 - 120e6;
  const options = { store, device: anna.device, epoch: anna.epoch };
  const token = await house.login(anna);
  const url = (kind: string, fromUs: number, toUs: number): string =>
    `/api/devices/${anna.device.device_id}/${kind}?from=${iso(fromUs)}&to=${iso(toUs)}`;
  const fetchFile = async (fromUs: number, toUs: number): Promise<string> => {
    const response = await house.ask('GET', url('export', fromUs, toUs), token);
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const path = join(house.folder, `${Math.random()}.mp4`);
    await writeFile(path, Buffer.from(await response.arrayBuffer()));
    return path;
  };
  const manifest = (fromUs: number, toUs: number): Promise<Manifest> =>
    house.json('GET', url('export/manifest', fromUs, toUs), token);
  return { house, options, startAtUs, token, url, fetchFile, manifest };
}

/** Decode times never go back, and fragments are numbered on. */
async function checkTimes(t: Test, path: string): Promise<void> {
  const bytes = await readFile(path);
  const boxes = parseBoxes(bytes);
  const tracks = new Map(parseInit(bytes).map((track) => [track.trackId, track]));
  const ends = new Map<number, number>();
  let fragments = 0;
  for (const [position, moof] of boxes.entries()) {
    if (moof.type !== 'moof') continue;
    fragments += 1;
    t.equal(moof.body.readUInt32BE(12), fragments);
    const mdat = boxes[position + 1];
    if (!mdat) return void t.fail('no media data');
    const fragment = bytes.subarray(moof.start, mdat.start + mdat.bytes.length);
    for (const [trackId, { first, end }] of measureSegment(fragment, tracks)) {
      t.ok(first >= (ends.get(trackId) ?? 0) - 2, `track ${trackId} goes on at ${first}`);
      ends.set(trackId, end);
    }
  }
  t.ok(fragments > 0);
}

t.test('one stream comes out whole, by either muxer', async (t) => {
  for (const make of [cutMotion, cutByGstreamer])
    await t.test(make.name, async (t) => {
      const { house, options, startAtUs, fetchFile, manifest, token, url } = await ready(t);
      const cut = await make(house.folder);
      const { endUs } = await storeCut(cut, { ...options, startAtUs });
      const path = await fetchFile(startAtUs, endUs);
      const { durationS, ...counts } = await probe(path);
      t.strictSame(counts, {
        videoFrames: cut.frames,
        audioFrames: counts.audioFrames,
        streams: 2,
      });
      t.ok(cut.frames >= 242);
      t.ok(counts.audioFrames > 340, `${counts.audioFrames} frames of sound`);
      t.ok(Math.abs(durationS - 8.1) < 0.1, `${durationS} s`);
      t.equal(await decode(path), cut.frames);
      await checkTimes(t, path);
      const { stdout } = await run(
        'gst-launch-1.0',
        [
          ...['-v', 'filesrc', `location=${path}`, '!', 'qtdemux', '!', 'h264parse', '!'],
          ...['avdec_h264', '!', 'fakesink', 'silent=false', 'sync=false'],
        ],
        { maxBuffer: 1 << 26 },
      );
      t.equal(
        stdout.match(/last-message = chain/g)?.length,
        cut.frames,
        'GStreamer reads it as well',
      );
      const found = await manifest(startAtUs, endUs);
      t.equal(found.pieces.length, 9);
      t.notOk(found.spansSeveralStreams);
      t.strictSame(found.breaks, []);
      t.ok(Math.abs(found.durationUs - 8.1e6) < 1e5);
      const name = (await house.ask('GET', url('export', startAtUs, endUs), token)).headers;
      t.match(name.get('content-disposition'), /^attachment; filename="Front-door-[\dT-]+\.mp4"$/);
    });
});

t.test('a part of it is whole pieces, and starts at zero', async (t) => {
  const { house, options, startAtUs, fetchFile, manifest } = await ready(t);
  await storeCut(await cutMotion(house.folder), { ...options, startAtUs });
  const [from, to] = [startAtUs + 2.5e6, startAtUs + 4.5e6];
  const path = await fetchFile(from, to);
  t.equal((await probe(path)).videoFrames, 90);
  t.equal(await decode(path), 90);
  const found = await manifest(from, to);
  t.strictSame(
    found.pieces.map(({ sequence }) => sequence),
    [2, 3, 4],
  );
  t.ok((found.pieces[0]?.mediaStartUs ?? -1) < 50_000);
  t.equal(found.pieces[1]?.mediaStartUs, (found.pieces[0]?.mediaStartUs ?? 0) + 1e6);
});

t.test('streams of different size and tracks go into one file that decodes', async (t) => {
  const { house, options, startAtUs, fetchFile, manifest } = await ready(t);
  const motion = await cutMotion(house.folder);
  const small = await cutSmall(house.folder);
  const one = await storeCut(motion, { ...options, startAtUs });
  await storeGap(options, { startAtUs: one.endUs, durationUs: 3e6, reason: 'capture_crashed' });
  const two = await storeCut(small, { ...options, startAtUs: one.endUs + 3e6 });
  const three = await storeCut(motion, { ...options, startAtUs: two.endUs + 1e6 });
  const path = await fetchFile(startAtUs, three.endUs);
  const { durationS, ...counts } = await probe(path);
  const frames = 2 * 243 + small.frames;
  t.strictSame(counts, { videoFrames: frames, audioFrames: 2 * 346, streams: 2 });
  t.equal(await decode(path), frames);
  await checkTimes(t, path);
  const { stdout } = await run('ffprobe', [
    ...[
      '-v',
      'error',
      '-select_streams',
      'v',
      '-show_entries',
      'frame=width',
      '-of',
      'default=nk=1:nw=1',
      path,
    ],
  ]);
  t.strictSame([...new Set(stdout.trim().split('\n'))].sort(), ['320', '568'], 'each in its size');
  const found = await manifest(startAtUs, three.endUs);
  t.ok(Math.abs(durationS - found.durationUs / 1e6) < 0.1, `${durationS} and ${found.durationUs}`);
  t.ok(found.spansSeveralStreams);
  t.equal(found.streams.length, 3);
  t.equal(found.breaks.length, 2);
  t.match(found.breaks[0], { kind: 'stream_changed', reasons: ['capture_crashed'] });
  t.ok(Math.abs((found.breaks[0]?.closedUpUs ?? 0) - 3e6) < 1e5);
  t.match(found.gaps, [{ reason: 'capture_crashed', durationUs: 3e6, code: 'CAPTURE_STALLED' }]);
});

t.test('a file made by both muxers keeps every sound, if in a track of its own', async (t) => {
  const { house, options, startAtUs, fetchFile } = await ready(t);
  const one = await storeCut(await cutMotion(house.folder), { ...options, startAtUs });
  const cut = await cutByGstreamer(house.folder);
  const two = await storeCut(cut, { ...options, startAtUs: one.endUs });
  const path = await fetchFile(startAtUs, two.endUs);
  t.equal((await probe(path)).streams, 3);
  t.equal(await decode(path), 243 + cut.frames);
});

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

t.test('hundreds of breaks do not drift sound and picture apart', async (t) => {
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
  t.equal(await decode(path), 20 * (await decode(await fetchFile(first, first + 7.9e6))));
});

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

t.test('a damaged piece ends an export; its bytes never get out', async (t) => {
  const { house, options, startAtUs, url, token } = await ready(t);
  const { endUs, streamId } = await storeCut(await cutMotion(house.folder), {
    ...options,
    startAtUs,
  });
  const row = await house.store.media.segment(house.anna.device.device_id, streamId, 4);
  const shard = row?.blob_id.split('-')[0] ?? '';
  const path = join(house.folder, 'data', 'blobs', shard, row?.blob_id ?? '');
  const sealed = await readFile(path);
  sealed[sealed.length >> 1] = (sealed[sealed.length >> 1] ?? 0) ^ 1;
  await writeFile(path, sealed);
  const broken = await house.ask('GET', url('export', startAtUs, endUs), token);
  await t.rejects(broken.arrayBuffer(), 'the answer breaks off');
  const head = await house.ask('GET', url('export', startAtUs + 4.2e6, endUs), token);
  t.equal(head.status, 500, 'before anything is sent it is an answer');
  t.strictSame(await head.json(), {
    code: 'STORE_CORRUPT',
    message: 'stored data are damaged',
    retry: false,
  });
  const body = { from: iso(startAtUs), to: iso(endUs) };
  const device = `/api/devices/${house.anna.device.device_id}`;
  const { url: list } = await house.json<{ url: string }>('POST', `${device}/play`, token, body);
  const piece = (n: number): string => list.replace('index.m3u8', `${streamId}/${n}.m4s`);
  t.equal((await house.ask('GET', piece(4))).status, 500);
  t.equal((await house.ask('GET', piece(3))).status, 200, 'the others play on');
});

t.test('deleted pieces are gone at once: from lists, addresses, exports and disk', async (t) => {
  const { house, options, startAtUs, token, url, fetchFile, manifest } = await ready(t);
  const { endUs, streamId } = await storeCut(await cutMotion(house.folder), {
    ...options,
    startAtUs,
  });
  const device = `/api/devices/${house.anna.device.device_id}`;
  const span = { from: iso(startAtUs), to: iso(endUs) };
  const { url: list } = await house.json<{ url: string }>('POST', `${device}/play`, token, span);
  const piece = (n: number): string => list.replace('index.m3u8', `${streamId}/${n}.m4s`);
  t.equal((await house.ask('GET', piece(3))).status, 200);
  const one = `${device}/segments/${streamId}/3`;
  t.strictSame(await house.json('DELETE', one, token), { deleted: 1 });
  t.equal((await house.ask('DELETE', one, token)).status, 404, 'twice');
  t.equal((await house.ask('GET', piece(3))).status, 404);
  t.notMatch(await (await house.ask('GET', list)).text(), '/3.m4s');
  t.equal(await decode(await fetchFile(startAtUs, endUs)), 243 - 30);
  t.equal(await decode(list), 243 - 30, 'the rest plays on');
  t.match((await manifest(startAtUs, endUs)).breaks, [{ kind: 'pieces_missing' }]);
  const range = `${device}/segments?from=${iso(startAtUs + 5.9e6)}&to=${iso(endUs)}`;
  t.strictSame(await house.json('DELETE', range, token), { deleted: 3 });
  t.equal(await decode(await fetchFile(startAtUs, endUs)), 150);
  const files = await readdir(join(house.folder, 'data', 'blobs'), { recursive: true });
  t.equal(files.filter((name) => name.includes('/')).length, 5, 'five files are left');
  await house.json('DELETE', `${device}/segments?from=${span.from}&to=${span.to}`, token);
  t.equal((await house.ask('GET', url('export', startAtUs, endUs), token)).status, 404);
});

t.test('pieces and gaps are listed page by page, each once', async (t) => {
  const { house, options, startAtUs, token } = await ready(t);
  const { endUs } = await storeCut(await cutMotion(house.folder), { ...options, startAtUs });
  await storeGap(options, { startAtUs: endUs, durationUs: 1e6, reason: 'source_lost' });
  await storeGap(options, { startAtUs: startAtUs + 1.2e6, durationUs: 2e6, reason: 'refused' });
  const found: number[] = [];
  const gaps: string[] = [];
  for (let cursor: string | null = '', pages = 0; cursor !== null && pages < 9; pages += 1) {
    const query: string = cursor === '' ? 'limit=2' : `limit=2&cursor=${cursor}`;
    const page: {
      segments: { sequence: number }[];
      gaps: { reason: string }[];
      next: string | null;
    } = await house.json(
      'GET',
      `/api/devices/${house.anna.device.device_id}/segments?${query}`,
      token,
    );
    found.push(...page.segments.map(({ sequence }) => sequence));
    gaps.push(...page.gaps.map(({ reason }) => reason));
    cursor = page.next;
  }
  t.strictSame(found, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  t.strictSame(gaps, ['refused', 'source_lost']);
});
