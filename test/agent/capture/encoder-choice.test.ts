// Which encoder is used, and what may count against one.
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import t from 'tap';
import { Capture } from '../../../agent/capture/capture.ts';
import { EncoderChoice } from '../../../agent/capture/encoder-choice.ts';
import { BOOT_ID, captureConfig, mediaClock, QUICK } from './harness.ts';

/** TORTURE=1: a start is broken off at many moments, not at a few. */
const STEP_MS = process.env.TORTURE === '1' ? 20 : 120;
const { video, audio } = captureConfig({ type: 'test' });
const fine = async () => ({ caps: { video: { name: 'video/x-h264' } } });
const broken = async () => 'broken' as const;
const never = () => new Promise<never>(() => undefined);

t.test('an encoder that broke the child gives way to the next one', async (t) => {
  const choice = new EncoderChoice();
  await t.rejects(choice.video(video, broken), { code: 'CAPTURE_FAILED', message: /v4l2h264enc/ });
  t.equal(await choice.video(video, fine), 'mpph264enc');
});

t.test('an encoder that is named, or the only one, is never given up', async (t) => {
  const choice = new EncoderChoice();
  const named = { ...video, encoder: 'x264enc' };
  const opus = { ...audio, codec: 'opus' } as const;
  await t.rejects(choice.video(named, broken), { code: 'CAPTURE_FAILED' });
  t.equal(await choice.video(named, fine), 'x264enc');
  await t.rejects(choice.audio(opus, broken), { code: 'CAPTURE_FAILED' });
  t.equal(await choice.audio(opus, fine), 'opusenc');
});

t.test('where all were broken they are tried anew', async (t) => {
  const choice = new EncoderChoice();
  let attempts = 0;
  while (attempts < 100) {
    attempts += 1;
    const code = await choice.video(video, broken).catch((error) => error.code);
    if (code === 'CAPTURE_UNSUPPORTED') break;
  }
  t.equal(attempts, 8);
  t.equal(await choice.video(video, fine), 'v4l2h264enc');
});

t.test('a trial that was ended from outside counts for nothing', async (t) => {
  const choice = new EncoderChoice();
  void choice.video(video, never);
  t.equal(await choice.video(video, fine), 'v4l2h264enc');
});

t.test('a withdrawal or a stop at any moment of the start bans no encoder', async (t) => {
  const streams: unknown[] = [];
  let onSegment = (): void => undefined;
  const capture = new Capture({
    config: () =>
      captureConfig(
        { type: 'test' },
        { ...QUICK, video: { ...QUICK.video, encoder: 'openh264enc' } },
      ),
    log: pino({ level: 'silent' }),
    clock: mediaClock,
    random: () => 0,
    bootId: BOOT_ID,
    sink: {
      stream: (stream) => streams.push(stream),
      segment: () => onSegment(),
      gap: (gap) => t.fail('no gap', { gap }),
    },
  });
  for (let waitMs = 0; waitMs <= 600; waitMs += STEP_MS) {
    const [stop, revoke] = [new AbortController(), new AbortController()];
    const permit = { epoch: 1, audio: false, revoked: revoke.signal };
    const ended = capture.run(stop.signal, permit);
    await delay(waitMs);
    (waitMs % (2 * STEP_MS) === 0 ? revoke : stop).abort();
    await ended;
  }
  streams.length = 0;
  const first = Promise.withResolvers<void>();
  onSegment = first.resolve;
  const stop = new AbortController();
  const permit = { epoch: 2, audio: false, revoked: new AbortController().signal };
  const ended = capture.run(stop.signal, permit);
  await first.promise;
  stop.abort();
  await ended;
  t.match(streams, [{ epoch: 2 }]);
});
