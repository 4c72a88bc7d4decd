// What the service manager hears: a real datagram socket in the place of systemd's, the real
// systemd-notify, and the judgement of what counts as a sign of life.
import { pino } from 'pino';
import t from 'tap';
import { Notifier } from '../../../agent/service/notifier.ts';
import { PictureProgress } from '../../../agent/service/progress.ts';
import { isAlive, type Progress, ServiceWatchdog } from '../../../agent/service/watchdog.ts';
import { eventually } from '../uplink/rig.ts';
import { manager } from './manager.ts';

const log = pino({ enabled: false });

t.test('the service manager hears in the order of telling, and a status once', async (t) => {
  const { socket, heard } = await manager(t);
  const notifier = new Notifier({ socket, log });
  const told = [
    notifier.tell('READY=1'),
    notifier.status('recording'),
    notifier.status('recording'),
    notifier.tell('RELOADING=1'),
    notifier.tell('STOPPING=1'),
  ];
  await Promise.all(told);
  await eventually('all of it', () => heard.length === 5);
  t.match(heard.slice(1), [
    /^READY=1/,
    /^STATUS=recording/,
    /^RELOADING=1 MONOTONIC_USEC=\d+/,
    /^STOPPING=1/,
  ]);
});

t.test('without a service manager, or without its program, nothing else changes', async (t) => {
  const said: string[] = [];
  const noisy = pino({ base: null }, { write: (line: string) => said.push(line) });
  await new Notifier({ socket: undefined, log: noisy }).tell('READY=1');
  t.equal(said.length, 0);
  const broken = new Notifier({ socket: '/no/socket', program: '/no/program', log: noisy });
  await broken.tell('READY=1');
  await broken.tell('WATCHDOG=1');
  t.equal(said.length, 1, 'said once');
});

const at = (kind: Progress['kind'], pictures: number, sinceMonoUs = 1): Progress => ({
  kind,
  pictures,
  sinceMonoUs,
});

t.test('a sign of life wants pictures, or a known reason why there are none', async (t) => {
  const rows: [string, Progress | null, Progress, boolean][] = [
    ['pictures flowed', at('capturing', 5), at('capturing', 6), true],
    ['none flowed', at('capturing', 5), at('capturing', 5), false],
    ['none yet, and long since', at('capturing', 0), at('capturing', 0), false],
    ['none are wanted', at('capturing', 5), at('closed', 5), true],
    ['the source failed and is tried again', at('capturing', 5), at('resting', 5), true],
    ['a new attempt has begun', at('resting', 5), at('capturing', 5, 2), true],
    ['the first look', null, at('capturing', 0), true],
  ];
  for (const [what, before, now, alive] of rows)
    t.equal(isAlive(before, now, 60e6, 10_000), alive, what);
  const early = (pictures: number) =>
    isAlive(at('capturing', pictures), at('capturing', pictures), 5e6, 10_000);
  t.ok(early(0), 'a source may take its time');
  t.notOk(early(7), 'but only until its first picture');
});

t.test(
  'each opening of the camera has its own time, and a failure is known until a picture',
  async (t) => {
    let nowUs = 1;
    let framesCaptured = 5;
    let isCapturing = true;
    let changed: () => void = () => undefined;
    const camera = {
      state: () => ({ isCapturing }),
      onChange: (listener: () => void) => {
        changed = listener;
        return () => undefined;
      },
    };
    const capture = { figures: () => ({ framesCaptured }) };
    const progress = new PictureProgress({ camera, capture, monoUs: () => nowUs });
    t.match(progress.now(), { kind: 'capturing', pictures: 0, sinceMonoUs: 1 });
    framesCaptured = 9;
    t.match(progress.now(), { kind: 'capturing', pictures: 4, sinceMonoUs: 1 });
    for (isCapturing of [false, true]) {
      nowUs += 10;
      changed();
    }
    t.match(progress.now(), { kind: 'capturing', pictures: 0, sinceMonoUs: 21 }, 'opened anew');
    progress.failed();
    t.match(progress.now(), { kind: 'resting' });
    framesCaptured += 1;
    t.match(progress.now(), { kind: 'capturing' });
  },
);

t.test('no sign of life is given once pictures stand still', async (t) => {
  const { socket, heard } = await manager(t);
  let pictures = 0;
  let isStill = false;
  const watchdog = new ServiceWatchdog({
    notifier: new Notifier({ socket, log }),
    periodMs: 40,
    progress: () => at('capturing', isStill ? pictures : ++pictures),
    status: () => (isStill ? 'still' : 'recording'),
    monoUs: () => 60e6,
    startTimeoutMs: 10_000,
    log,
  });
  const stop = new AbortController();
  const running = watchdog.run(stop.signal);
  const signs = () => heard.filter((line) => line.includes('WATCHDOG=1')).length;
  await eventually('signs of life', () => signs() >= 3);
  isStill = true;
  await eventually('the status', () => heard.some((line) => line.includes('STATUS=still')));
  const before = signs();
  await new Promise((resolve) => setTimeout(resolve, 400));
  t.ok(signs() <= before + 1, 'they have ceased');
  stop.abort();
  await running;
});
