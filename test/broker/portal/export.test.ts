import t from 'tap';
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
import { checkTimes, ready } from './recorded.ts';

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
