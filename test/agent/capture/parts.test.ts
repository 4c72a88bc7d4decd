// The small parts of supervision: back-off, outages, watchdog, faults, last words, credentials, files.
import { chmodSync, closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import t from 'tap';
import { backoffMs, failuresInRow } from '../../../agent/capture/backoff.ts';
import { readCredentials } from '../../../agent/capture/credentials.ts';
import { captureError, redact } from '../../../agent/capture/faults.ts';
import { LastPictures } from '../../../agent/capture/last-pictures.ts';
import { LastWords } from '../../../agent/capture/last-words.ts';
import { MaskFile } from '../../../agent/capture/mask-file.ts';
import { laterMark, Outage } from '../../../agent/capture/outage.ts';
import { Rhythm } from '../../../agent/capture/rhythm.ts';
import { Watchdog } from '../../../agent/capture/watchdog.ts';
import type { Gap } from '../../../proto/gap.ts';
import { BOOT_ID } from './harness.ts';

t.test('the wait doubles up to its limit, and chance takes at most half of it', async (t) => {
  const limits = { minMs: 1000, maxMs: 60000 };
  const whole = [1, 2, 3, 4, 5, 6, 7, 8, 1000].map((failures) => backoffMs(failures, limits, 1));
  t.strictSame(whole, [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]);
  t.equal(backoffMs(1, limits, 0), 500);
  t.equal(backoffMs(99, limits, 0), 30000);
});

t.test(
  'an outage is one gap, from the last picture to the next, with its first cause',
  async (t) => {
    const gaps: Gap[] = [];
    const clock = { wallUs: () => 9_000_000, monoUs: () => 1000 };
    const outage = new Outage({ clock, bootId: BOOT_ID, onGap: (gap) => gaps.push(gap) });
    outage.due(3);
    outage.covered(2000, 500);
    t.strictSame(gaps, [], 'a start is no outage');
    outage.begin('capture_crashed', 'CAPTURE_FAILED');
    outage.begin('source_lost', 'CAPTURE_NO_SOURCE');
    outage.covered(4000, 500);
    outage.covered(4500, 500);
    outage.begin('source_stalled', 'CAPTURE_STALLED');
    outage.covered(4990, 500);
    outage.begin('source_lost', 'CAPTURE_ENDED');
    outage.endAt(6000);
    outage.endAt(7000);
    t.match(gaps, [
      {
        startMonoUs: 2500,
        startAtUs: 9_001_500,
        durationUs: 1500,
        reason: 'capture_crashed',
        code: 'CAPTURE_FAILED',
        epoch: 3,
        bootId: BOOT_ID,
        gapId: /^[0-9a-f]{32}$/,
      },
      { startMonoUs: 5490, durationUs: 510, reason: 'source_lost', code: 'CAPTURE_ENDED' },
    ]);
    t.equal(gaps.length, 2, 'pictures that overlap leave no gap');
  },
);

t.test('a restart under consent that lasted is a gap of the epoch it began in', async (t) => {
  const gaps: Gap[] = [];
  const time = { mono: 1000 };
  const clock = { wallUs: () => 9_000_000 + time.mono, monoUs: () => time.mono };
  const outage = new Outage({ clock, bootId: BOOT_ID, onGap: (gap) => gaps.push(gap) });
  outage.due(3);
  outage.covered(1000, 500);
  outage.resume(4, null);
  outage.covered(1800, 200);
  t.match(gaps, [{ startMonoUs: 1500, durationUs: 300, reason: 'capture_restarted', epoch: 3 }]);
  t.equal(gaps[0]?.code, null);
  outage.begin('source_lost', 'CAPTURE_ENDED');
  outage.resume(5, null);
  outage.covered(2500, 500);
  t.match(gaps[1], { startMonoUs: 2000, durationUs: 500, reason: 'source_lost', epoch: 4 });
  outage.resume(6, null);
  time.mono = 3300;
  outage.begin('source_stalled', 'CAPTURE_STALLED');
  outage.covered(4000, 500);
  t.match(gaps.slice(2), [
    { startMonoUs: 3000, durationUs: 300, reason: 'capture_restarted', epoch: 5 },
    { startMonoUs: 3300, durationUs: 700, reason: 'source_stalled', epoch: 6 },
  ]);
  outage.due(7);
  outage.covered(9000, 500);
  t.equal(gaps.length, 4, 'where nothing was consented to, nothing is missing');
});

t.test('a stop of the agent is a gap, by the wall clock where the machine was off', async (t) => {
  const OTHER = '99999999-89ab-cdef-0123-456789abcdef';
  for (const { bootId, endMonoUs, endAtUs, wall, want } of [
    { bootId: BOOT_ID, endMonoUs: 400, endAtUs: 9, wall: 5e6, want: { durationUs: 1600 } },
    { bootId: OTHER, endMonoUs: 7e9, endAtUs: 2e6, wall: 5e6, want: { durationUs: 3_001_000 } },
    { bootId: OTHER, endMonoUs: 7e9, endAtUs: 6e6, wall: 5e6, want: undefined },
  ]) {
    const gaps: Gap[] = [];
    const clock = { wallUs: () => wall, monoUs: () => 1000 };
    const outage = new Outage({ clock, bootId: BOOT_ID, onGap: (gap) => gaps.push(gap) });
    outage.resume(5, { bootId, endMonoUs, endAtUs, epoch: 2 });
    outage.covered(2000, 500);
    const same = { bootId, startMonoUs: endMonoUs, epoch: 2, reason: 'agent_stopped', code: null };
    t.match(gaps, want === undefined ? [] : [{ ...same, ...want }]);
    t.equal(gaps.length, want === undefined ? 0 : 1);
    outage.begin('source_lost', 'CAPTURE_ENDED');
    outage.covered(3000, 500);
    t.match(gaps.at(-1), { startMonoUs: 2500, durationUs: 500, bootId: BOOT_ID, epoch: 5 });
  }
});

t.test(
  'a lease that ran out is a gap of its own, beside a stop and what fails after it',
  async (t) => {
    const gaps: Gap[] = [];
    const time = { mono: 2000 };
    const clock = { wallUs: () => 9_000_000 + time.mono, monoUs: () => time.mono };
    const outage = new Outage({ clock, bootId: BOOT_ID, onGap: (gap) => gaps.push(gap) });
    const lease = (epoch: number) => ({ epoch, reason: 'lease_expired', code: null }) as const;
    outage.absent(lease(2), { bootId: BOOT_ID, endMonoUs: 1000, endAtUs: 9_001_000, epoch: 2 });
    outage.absent(lease(2), 'run');
    outage.resume(3, null);
    time.mono = 5000;
    outage.begin('source_lost', 'CAPTURE_NO_SOURCE');
    outage.covered(6000, 500);
    outage.begin('source_stalled', 'CAPTURE_STALLED');
    outage.absent(lease(2), 'run');
    outage.resume(4, null);
    outage.covered(8000, 500);
    t.match(gaps, [
      { startMonoUs: 1000, durationUs: 1000, reason: 'agent_stopped', epoch: 2 },
      { startMonoUs: 2000, durationUs: 3000, reason: 'lease_expired', epoch: 2, code: null },
      { startMonoUs: 5000, durationUs: 1000, reason: 'source_lost', epoch: 3 },
      { startMonoUs: 6500, durationUs: 1500, reason: 'source_stalled', epoch: 3 },
    ]);
    t.equal(gaps.length, 4);
  },
);

t.test('of two marks the later one counts, this boot before all others', async (t) => {
  const mark = (bootId: string, endMonoUs: number, endAtUs: number) => ({
    ...{ bootId, endMonoUs, endAtUs },
    epoch: 1,
  });
  const early = mark(BOOT_ID, 10, 900);
  const late = mark(BOOT_ID, 20, 100);
  const other = mark('99999999-89ab-cdef-0123-456789abcdef', 5, 1000);
  const third = mark('88888888-89ab-cdef-0123-456789abcdef', 5, 2000);
  const cases = [
    [null, null, null],
    [early, null, early],
    [early, late, late],
    [early, other, early],
    [other, third, third],
  ] as const;
  for (const [one, two, want] of cases) {
    t.equal(laterMark(one, two, BOOT_ID), want);
    t.equal(laterMark(two, one, BOOT_ID), want);
  }
});

t.test('what is safe is known after a restart, and nonsense is nothing', async (t) => {
  const path = join(t.testdir(), 'last');
  const time = { mono: 10e6 };
  const clock = { wallUs: () => 0, monoUs: () => time.mono };
  const make = (to = path) =>
    new LastPictures({ path: to, bootId: BOOT_ID, clock, log: pino({ level: 'silent' }) });
  const last = make();
  t.equal(last.read(), null);
  last.save();
  t.equal(last.read(), null, 'nothing was noted');
  const first = { bootId: BOOT_ID, endMonoUs: 15, endAtUs: 1_800_000_000_000_000, epoch: 3 };
  last.note(first);
  t.strictSame(make().read(), first);
  const { ino, size } = statSync(path);
  time.mono += 239e6;
  last.note({ ...first, endMonoUs: 20, endAtUs: 7 });
  t.strictSame(make().read(), first, 'not written for every segment');
  last.note({ ...first, endMonoUs: 19 });
  last.note({ ...first, bootId: '99999999-89ab-cdef-0123-456789abcdef', endMonoUs: 7e9 });
  last.save();
  t.match(make().read(), { endMonoUs: 20, endAtUs: 7 }, 'never back, and only of this boot');
  t.match(statSync(path), { ino, size }, 'written in place, whatever its length');
  time.mono += 241e6;
  last.note({ ...first, endMonoUs: 30 });
  t.match(make().read(), { endMonoUs: 30 });
  for (const nonsense of ['', '{', 'null', '{"endMonoUs":1}', 'x'.repeat(3000)]) {
    writeFileSync(path, nonsense);
    t.equal(make().read(), null);
    const next = make();
    next.note(first);
    t.strictSame(make().read(), first);
  }
  const nowhere = make(join(path, 'no', 'folder'));
  nowhere.note(first);
  t.equal(nowhere.read(), null);
});

t.test('only pictures make a capture healthy', async (t) => {
  t.equal(failuresInRow(4, { fromUs: undefined, untilUs: 999e6 }), 5);
  t.equal(failuresInRow(4, { fromUs: 0, untilUs: 59e6 }), 5);
  t.equal(failuresInRow(4, { fromUs: 10e6, untilUs: 70e6 }), 1);
});

t.test('the watchdog barks once after silence, and never when stopped', async (t) => {
  const barks: number[] = [];
  const silent = new Watchdog(50, 500, (silentMs) => barks.push(silentMs));
  await delay(250);
  t.strictSame(barks, [150]);
  silent.touch();
  silent.stop();
  const lively = new Watchdog(200, 200, () => t.fail('it barked'));
  for (let beat = 0; beat < 8; beat += 1) {
    lively.touch();
    await delay(50);
  }
  lively.stop();
  lively.touch();
  await delay(400);
});

t.test('what GStreamer says becomes a code and advice, without secrets', async (t) => {
  const rtsp = {
    type: 'rtsp',
    url: 'rtsp://h/?pw=geheim',
    credentialsFile: null,
    transport: 'tcp',
    latencyMs: 1,
  } as const;
  const file = { type: 'file', path: '/x', loop: false } as const;
  const v4l2 = { type: 'v4l2', device: '/dev/video0', format: 'raw' } as const;
  for (const [message, debug, source, code] of [
    ['Unauthorized', '', rtsp, 'CAPTURE_UNAUTHORIZED'],
    ['Could not connect rtsp://h/?pw=geheim', '', rtsp, 'CAPTURE_NO_SOURCE'],
    ["Cannot identify device '/dev/video0'.", '', v4l2, 'CAPTURE_NO_SOURCE'],
    ["Device '/dev/video0' is busy", '', v4l2, 'CAPTURE_NO_SOURCE'],
    ['Internal data stream error.', 'reason not-negotiated (-4)', v4l2, 'CAPTURE_UNSUPPORTED'],
    ['Resource not found.', '', file, 'CAPTURE_NO_SOURCE'],
    ['This file contains no playable streams.', '', file, 'CAPTURE_UNSUPPORTED'],
    ['no element "x"', '', file, 'CAPTURE_UNSUPPORTED'],
    ['Something new', '', file, 'CAPTURE_FAILED'],
  ] as const) {
    const error = captureError({ element: 'src', message, debug }, source, ['rtsp://h/?pw=geheim']);
    t.equal(error.code, code, message);
    t.match(error.message, /check|choose|install/);
    t.notMatch(error.message, /geheim/);
  }
  t.equal(redact('a b a', ['a', '']), '*** b ***');
});

t.test('credentials come from a private file with one line', async (t) => {
  const dir = t.testdir({ good: 'me:pass:word\r\n', bare: 'me:pw', two: 'a:b\nc:d\n', none: 'me' });
  for (const name of ['good', 'bare', 'two', 'none']) chmodSync(join(dir, name), 0o600);
  t.strictSame(await readCredentials(join(dir, 'good')), { user: 'me', password: 'pass:word' });
  t.strictSame(await readCredentials(join(dir, 'bare')), { user: 'me', password: 'pw' });
  for (const name of ['two', 'none', 'missing'])
    await t.rejects(readCredentials(join(dir, name)), { code: 'CAPTURE_UNAUTHORIZED' });
  chmodSync(join(dir, 'good'), 0o640);
  await t.rejects(readCredentials(join(dir, 'good')), { message: /chmod 600/ });
});

t.test('words of a child are looked at line by line, however they come', async (t) => {
  const lines: { level: number; line?: string; droppedLines?: number }[] = [];
  const log = pino({ level: 'debug' }, { write: (text) => lines.push(JSON.parse(text)) });
  const secret = 'me:hunter2';
  const words = new LastWords({ log, secrets: () => [secret] });
  const text = `at ${secret}!\n\n${'x'.repeat(9000)} ${secret}\nend`;
  for (let at = 0; at < text.length; at += 7) words.push(text.slice(at, at + 7));
  const shown = ['at ***!', '(a line that is too long)', 'end'];
  t.strictSame(
    lines.splice(0).map(({ line }) => line),
    shown.slice(0, 2),
  );
  words.tell();
  t.strictSame(
    lines.splice(0).flatMap(({ level, line }) => (level === 40 ? [line] : [])),
    shown,
  );
  for (let count = 0; count < 1000; count += 1) words.push(`${count}\n`);
  words.tell();
  t.equal(lines.filter(({ level }) => level === 20).length, 17, 'a flood is bounded');
  const warned = lines.filter(({ level }) => level === 40);
  t.strictSame(
    warned.map(({ line }) => line),
    [...Array.from({ length: 10 }, (_, at) => `${990 + at}`), undefined],
  );
});

t.test('a file of masks that is closed is not written, whoever has its descriptor', async (t) => {
  const path = join(t.testdir({ other: 'other' }), 'other');
  const masks = new MaskFile();
  masks.write(Buffer.from('a longer image'));
  masks.write(Buffer.from('image'));
  t.equal(readFileSync(`/proc/self/fd/${masks.fd}`, 'latin1'), 'image');
  masks.close();
  const fd = openSync(path, 'r+');
  t.equal(fd, masks.fd);
  masks.write(Buffer.from('image'));
  masks.close();
  closeSync(fd);
  t.equal(readFileSync(path, 'latin1'), 'other');
});

t.test('pictures that are missing are told from a rate that is another one', async (t) => {
  const of = (...durations: number[]) => new Rhythm().missing(durations);
  const row = (count: number, duration: number) => Array.from({ length: count }, () => duration);
  t.equal(of(...row(100, 3000)), 0);
  t.equal(of(1, ...row(40, 3000)), 0, 'an odd first one');
  t.equal(of(...row(20, 3000), 3000 * 11, ...row(20, 3000)), 10);
  t.equal(of(...row(20, 3000), 6000, 3000, 9000, ...row(20, 2900)), 3);
  t.equal(of(...row(20, 3000), 4500, 1500, ...row(20, 3000)), 0, 'one that is late is not lost');
  t.ok(of(...row(20, 3000), ...row(1000, 6000)) < 10, 'half the rate becomes usual');
  t.equal(of(...row(20, 0)), 0);
});
