// The recorder when the wall clock jumps, and when its time ceases to be an estimate.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Recorder } from '../../../agent/capture/recorder.ts';
import type { SegmentHeader } from '../../../proto/segment.ts';
import type { Stream } from '../../../proto/stream.ts';
import { BOOT_ID, ffmpeg, MOTION } from './harness.ts';

/** A recorder on a clock that a test sets, and the clip for it. */
async function recordingOf(t: Test, onSegment: (times: Times, count: number) => void) {
  const path = join(t.testdir(), 'fragmented.mp4');
  const flags = 'frag_keyframe+empty_moov+default_base_moof+separate_moof';
  await ffmpeg('-i', MOTION, '-c', 'copy', '-an', '-movflags', flags, path);
  const times = { mono: 100e6, wall: 1e15, isEstimated: false };
  const streams: Stream[] = [];
  const headers: SegmentHeader[] = [];
  const recorder = new Recorder({
    clock: {
      monoUs: () => times.mono,
      wallUs: () => times.wall,
      isEstimated: () => times.isEstimated,
    },
    bootId: BOOT_ID,
    epoch: 1,
    limits: { targetUs: 1e6, keyframeWaitUs: 9e6, maxBytes: 1e9, maxChunks: 1000 },
    clockJumpUs: 1e6,
    onStream: (stream) => streams.push(stream),
    onSegment: (header) => {
      headers.push(header);
      onSegment(times, headers.length);
    },
    onVideo: () => undefined,
  });
  recorder.push(readFileSync(path));
  recorder.finish();
  recorder.push(readFileSync(path));
  return { streams, headers };
}
interface Times {
  mono: number;
  wall: number;
  isEstimated: boolean;
}

t.test('a jump of the wall clock begins a new stream with the same init', async (t) => {
  const { streams, headers } = await recordingOf(t, (times, count) => {
    times.wall += count === 3 ? 3600e6 : 0.2e6;
  });
  t.ok(headers.length >= 7);
  t.equal(streams.length, 2);
  t.strictSame(streams[0]?.init, streams[1]?.init);
  t.equal(streams[0]?.startMonoUs, streams[1]?.startMonoUs);
  t.equal((streams[1]?.startAtUs ?? 0) - (streams[0]?.startAtUs ?? 0), 3600.4e6);
  const sequences = headers.map(({ sequence }) => sequence);
  t.strictSame(sequences.slice(0, 5), [0, 1, 2, 0, 1]);
  for (const { streamId, startAtUs, startMonoUs, decodeStartUs } of headers) {
    const stream = streams.find((one) => one.streamId === streamId);
    t.equal(startAtUs, (stream?.startAtUs ?? 0) + decodeStartUs);
    t.equal(startMonoUs, (stream?.startMonoUs ?? 0) + decodeStartUs);
  }
});

t.test('so does a time that ceases to be an estimate, without any jump', async (t) => {
  const { streams, headers } = await recordingOf(t, (times, count) => {
    times.isEstimated = count === 2;
  });
  t.same(
    streams.map(({ timeEstimated }) => timeEstimated),
    [false, true, false],
  );
  const at = (position: number) => headers[position]?.streamId;
  t.same(
    [at(1), at(2), at(3)],
    streams.map(({ streamId }) => streamId),
  );
  t.equal(headers[3]?.startAtUs, (headers[2]?.startAtUs ?? 0) + (headers[2]?.durationUs ?? 0));
});
