// Boxes: real media measured and rewritten; damaged bytes end in an error, never in a wrong file.
import t from 'tap';
import { boxIn, parseBoxes } from '../../../broker/portal/mp4/boxes.ts';
import { measureSegment, rewriteSegment } from '../../../broker/portal/mp4/fragment.ts';
import { mergeInits, parseInit } from '../../../broker/portal/mp4/init.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { cutByGstreamer, cutMotion, cutSmall } from './media.ts';

const folder = t.testdir();
const motion = await cutMotion(folder);
const small = await cutSmall(folder);
const gstreamer = await cutByGstreamer(folder);

const tracksOf = (init: Buffer) => new Map(parseInit(init).map((track) => [track.trackId, track]));

t.test('segments of a stream follow on each other without a hole, by either muxer', async (t) => {
  for (const cut of [motion, small, gstreamer]) {
    const tracks = tracksOf(cut.init);
    const ends = new Map<number, number>();
    for (const media of cut.segments)
      for (const [trackId, { first, end }] of measureSegment(media, tracks)) {
        const before = ends.get(trackId);
        // A tick of rounding is the muxer's own.
        if (before !== undefined) t.ok(Math.abs(first - before) <= 2, `${first} follows ${before}`);
        ends.set(trackId, end);
      }
    const video = parseInit(cut.init).find(({ kind }) => kind === 'video');
    const seconds = (ends.get(video?.trackId ?? 0) ?? 0) / (video?.timescale ?? 1);
    t.ok(seconds > 8 && seconds < 8.2, `${seconds} s of video`);
  }
});

t.test('one init holds the formats of all, and says which is which', async (t) => {
  const { init, maps } = mergeInits([motion.init, small.init, motion.init], 24_000);
  const tracks = parseInit(init);
  t.strictSame(
    tracks.map(({ kind, trackId, entries }) => [kind, trackId, entries.length]),
    [
      ['video', 1, 2],
      ['audio', 2, 1],
    ],
  );
  t.strictSame(
    maps.map((map) =>
      [...map.values()].map(({ trackId, descriptionIndexes }) => [trackId, descriptionIndexes]),
    ),
    [
      [
        [1, [1]],
        [2, [1]],
      ],
      [[1, [2]]],
      [
        [1, [1]],
        [2, [1]],
      ],
    ],
  );
  t.equal(boxIn(init, 'moov', 'mvex', 'mehd').body.readUInt32BE(4), 24_000);
});

t.test('a rewritten segment keeps its samples and moves its times', async (t) => {
  const { maps } = mergeInits([motion.init], 0);
  const [media] = motion.segments;
  const [tracks] = maps;
  if (!media || !tracks) return void t.fail('no media');
  let fragment = 6;
  const rewritten = Buffer.concat(
    rewriteSegment(media, {
      tracks,
      shift: ({ timescale }) => timescale * 10,
      nextFragment: () => {
        fragment += 1;
        return fragment;
      },
    }),
  );
  const [moof, mdat] = parseBoxes(rewritten);
  t.equal(boxIn(moof?.body ?? Buffer.alloc(0), 'mfhd').body.readUInt32BE(4), 7);
  t.ok(
    mdat?.bytes.equals(parseBoxes(media).find(({ type }) => type === 'mdat')?.bytes ?? mdat.body),
  );
  const before = measureSegment(media, tracksOf(motion.init));
  const after = measureSegment(rewritten, tracks);
  for (const [trackId, { first, end }] of before) {
    const ticks = (tracks.get(trackId)?.timescale ?? 0) * 10;
    t.strictSame(after.get(trackId), { first: first + ticks, end: end + ticks });
  }
});

t.test('a segment cut off anywhere is damaged, not a shorter one', async (t) => {
  const [media] = gstreamer.segments;
  if (!media) return void t.fail('no media');
  const tracks = tracksOf(gstreamer.init);
  const boundaries = new Set(
    parseBoxes(media)
      .filter(({ type }) => type === 'moof')
      .map(({ start }) => start),
  );
  for (let length = 1; length < media.length; length += 97) {
    if (boundaries.has(length)) continue;
    t.throws(() => measureSegment(media.subarray(0, length), tracks), LenscapError);
  }
});

t.test('an init with any byte changed is read or refused, never anything else', async (t) => {
  let refused = 0;
  for (let at = 0; at < motion.init.length; at += 1) {
    const damaged = Buffer.from(motion.init);
    damaged[at] = (damaged[at] ?? 0) ^ 0xff;
    try {
      mergeInits([damaged, small.init], 0);
    } catch (error) {
      if (!(error instanceof LenscapError)) return void t.fail(`byte ${at}: ${error}`);
      refused += 1;
    }
  }
  t.ok(refused > 100, `${refused} refused`);
});

t.test('a moof with any byte changed is rewritten or refused, never anything else', async (t) => {
  const [media] = motion.segments;
  const [tracks] = mergeInits([motion.init, small.init], 0).maps;
  if (!media || !tracks) return void t.fail('no media');
  const moofBytes = parseBoxes(media)[0]?.bytes.length ?? 0;
  for (let at = 0; at < moofBytes; at += 1) {
    const damaged = Buffer.from(media);
    damaged[at] = (damaged[at] ?? 0) ^ 0xff;
    try {
      rewriteSegment(damaged, { tracks, shift: () => 0, nextFragment: () => 1 });
    } catch (error) {
      if (!(error instanceof LenscapError)) return void t.fail(`byte ${at}: ${error}`);
    }
  }
  t.pass(`${moofBytes} bytes`);
});
