// Pushed versions on a board with a camera that obeys the test: what is taken, tried, proven, given up
// and told, over connections, restarts and crashes.
import { mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { showConfiguration } from '../../../agent/config/commands.ts';
import { readDesiredFile } from '../../../agent/config/desired-file.ts';
import { live } from '../../../agent/config/settings.ts';
import { signDesiredConfig } from '../../../proto/desired-config.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { eventually } from '../../e2e/processes.ts';
import { consent, stranger } from '../consent/grants.ts';
import { boardOf, desired, Run, TestGate, TestPictures } from './boards.ts';

const bitrate = (kbps: number) => ({ video: { bitrateKbps: kbps } });
const width = (px: number) => ({ video: { width: px } });

t.test('a live change is applied at once and proven by pictures', async (t) => {
  const run = new Run(boardOf(t.testdir()));
  const uplink = live(() => run.pushed.settings.now().uplink);
  t.equal(uplink.window, 4);
  run.pictures.flow = false;
  run.receive(desired(1, { ...bitrate(333), uplink: { window: 7 } }));
  await eventually('applied', () => run.states.includes('1 applied'));
  t.strictSame(run.pictures.done, ['adjust']);
  t.equal(run.pushed.settings.now().video.bitrateKbps, 333);
  t.equal(uplink.window, 7, 'who holds the settings reads the new one');
  const [last] = run.reports.slice(-1);
  t.match(last, { inForce: 1, epoch: 1, code: null });
  t.match(JSON.parse(last?.settings ?? ''), { video: { bitrateKbps: 333 }, uplink: { window: 7 } });
  t.notOk('source' in JSON.parse(last?.settings ?? ''), 'nothing of the hardware');
  t.equal(run.pushed.state.good.version, 0, 'not proven yet');
  run.pictures.flow = true;
  await eventually('proven', () => run.pushed.state.good.version === 1);
  t.strictSame(run.states, ['1 applied'], 'what is applied at once is not told twice');
  await run.end();
});

t.test('a restart is applied when pictures have flowed for long enough', async (t) => {
  const run = new Run(boardOf(t.testdir()));
  run.pictures.flow = false;
  run.receive(desired(1, width(640)));
  await eventually('restarted', () => run.pictures.done.includes('restart'));
  await eventually('accepted', () => run.states.includes('1 accepted'));
  t.notOk(run.states.includes('1 applied'));
  run.pictures.flow = true;
  await eventually('applied', () => run.states.includes('1 applied'));
  t.match(run.pushed.state, { good: { version: 1 }, trial: null });
  run.pictures.isStiff = true;
  run.receive(desired(2, { video: { width: 640, bitrateKbps: 700 } }));
  await eventually('restarted', () => run.pictures.done.length === 3);
  t.notOk(run.states.includes('2 applied'), 'nor where the capture cannot set it live');
  await eventually('applied', () => run.states.includes('2 applied'));
  await run.end();
});

t.test('what breaks is gone back on, said why, and not tried again', async (t) => {
  const dir = t.testdir();
  const run = new Run(boardOf(dir));
  run.receive(desired(1, bitrate(700)));
  await eventually('proven', () => run.pushed.state.good.version === 1);
  run.pictures.flow = false;
  run.receive(desired(2, width(640)));
  await eventually('tried', () => run.pushed.settings.now().video.width === 640);
  await eventually('it restarts', () => run.pictures.done.length === 2);
  run.pictures.fail(new LenscapError('CAPTURE_FAILED', 'no such size at 10.0.0.7'));
  await eventually('reverted', () => run.states.includes('2 reverted'));
  const detail = 'the capture failed (CAPTURE_FAILED)';
  t.match(run.reports.at(-1), { inForce: 1, code: 'CONFIG_UNHEALTHY', detail });
  t.notMatch(run.reports.at(-1)?.detail, '10.0.0.7', 'what others say stays in the log');
  t.match(run.pushed.settings.now().video, { width: 1280, bitrateKbps: 700 });
  t.strictSame(run.pictures.done, ['adjust', 'restart', 'restart']);
  t.match(run.reverted, [{ code: 'CONFIG_UNHEALTHY' }]);
  run.receive(desired(2, width(640)));
  run.receive(desired(1, bitrate(1)));
  await run.end();
  t.equal(run.pushed.settings.now().video.width, 1280, 'the same and older ones change nothing');
  const again = new Run(boardOf(dir));
  t.match(again.pushed.settings.now().video, { width: 1280, bitrateKbps: 700 });
  await eventually('told again', () => again.states.includes('2 reverted'));
  await again.end();
});

const BROKEN = new LenscapError('CAPTURE_NO_SOURCE', 'the cable is out');

t.test(
  'a version that finds a broken camera is not blamed, and proven when it mends',
  async (t) => {
    const board = boardOf(t.testdir());
    const pictures = new TestPictures();
    pictures.flow = false;
    pictures.lastUs = null;
    const run = new Run(board, new TestGate(), pictures);
    run.receive(desired(1, width(640)));
    await eventually('told', () => run.states.includes('1 accepted'));
    t.equal(run.pushed.settings.now().video.width, 1280, 'it waits to see how the camera is');
    pictures.fail(BROKEN);
    await eventually('set all the same', () => run.pushed.settings.now().video.width === 640);
    pictures.fail(BROKEN);
    await eventually(
      'a loss of power takes nothing back',
      () => run.pushed.state.trial?.isUnderWay === false,
    );
    const again = new Run(board, new TestGate(), pictures);
    t.equal(again.pushed.settings.now().video.width, 640);
    pictures.fail(BROKEN);
    pictures.flow = true;
    await eventually('proven', () => again.pushed.state.good.version === 1);
    await eventually('told', () => again.states.includes('1 applied'));
    t.strictSame([...run.reverted, ...again.reverted], []);
    await run.end();
    await again.end();
  },
);

t.test('what takes the place of a version that broke the camera answers for it too', async (t) => {
  const run = new Run(boardOf(t.testdir()));
  run.receive(desired(1, width(640)));
  await eventually('restarted', () => run.pictures.done.length === 1);
  run.pictures.flow = false;
  run.receive(desired(2, width(320)));
  await eventually('restarted', () => run.pictures.done.length === 2);
  run.pictures.fail(BROKEN);
  await eventually('reverted', () => run.states.includes('2 reverted'));
  run.receive(desired(3, width(322)));
  run.pictures.flow = true;
  await eventually('proven', () => run.pushed.state.good.version === 3);
  t.match(run.reverted, [{ code: 'CONFIG_UNHEALTHY' }]);
  await run.end();
});

t.test('what comes while the agent ends is left to the next one', async (t) => {
  const board = boardOf(t.testdir());
  const run = new Run(board);
  await run.end();
  run.receive(desired(1, width(640)));
  t.equal(run.pushed.state.highest, 0);
  const next = new Run(board);
  next.receive(desired(1, width(640)));
  await eventually('proven', () => next.pushed.state.good.version === 1);
  t.strictSame(next.reverted, []);
  await next.end();
});

t.test('nothing counts as proven before that is on disk', async (t) => {
  const dir = t.testdir({ state: {} });
  const [state, away] = [join(dir, 'state'), join(dir, 'away')];
  const board = boardOf(state);
  const run = new Run(board);
  run.pictures.flow = false;
  run.receive(desired(1, bitrate(700)));
  await eventually('applied', () => run.states.includes('1 applied'));
  renameSync(state, away);
  run.pictures.flow = true;
  await eventually('it cannot be saved', () => run.said().includes('cannot be saved'));
  t.equal(run.pushed.state.good.version, 0);
  renameSync(away, state);
  await eventually('proven', () => run.pushed.state.good.version === 1);
  t.match(readDesiredFile(state), { good: { version: 1 }, trial: null });
  t.equal(run.said().split('cannot be saved').length, 2, 'said once');
  await run.end();
});

t.test('a refusal is bounded, and takes nothing else of the state along', async (t) => {
  const dir = t.testdir();
  const run = new Run(boardOf(dir));
  run.receive(desired(1, bitrate(700)));
  await eventually('proven', () => run.pushed.state.good.version === 1);
  run.receive(desired(2, { masks: [Array.from({ length: 10_000 }, () => [7])] }));
  run.receive(desired(3, { [`\u001b[2J\u202e${'x'.repeat(60_000)}`]: 1 }));
  await eventually('rejected', () => run.states.includes('3 rejected'));
  t.ok(readFileSync(join(dir, 'configuration')).length < 30_000);
  t.ok(run.log.every((line) => JSON.stringify(line).length < 10_000));
  await run.end();
  const again = new Run(boardOf(dir));
  t.match(again.pushed.state, { highest: 3, good: { version: 1 }, refusal: { version: 3 } });
  const shown: string[] = [];
  showConfiguration(boardOf(dir), false, (line) => shown.push(line));
  t.match(shown.join('\n'), 'version 3: rejected');
  t.match(shown.join('\n'), '/video/bitrateKbps: 700');
  t.notMatch(shown.join(''), /[\p{Cc}\p{Cf}]/u, 'fit for a terminal');
  await again.end();
});

t.test('a set that has no effect is gone back on', async (t) => {
  const run = new Run(boardOf(t.testdir()));
  run.pictures.fault = new LenscapError('CAPTURE_FAILED', 'the mask cannot be set');
  run.receive(desired(1, bitrate(700)));
  await eventually('reverted', () => run.states.includes('1 reverted'));
  t.notOk(run.states.includes('1 applied'));
  t.strictSame(run.pictures.done, ['adjust', 'restart'], 'what broke is not relied on');
  run.pictures.done.length = 0;
  run.pictures.flow = false;
  run.pictures.fail(BROKEN);
  run.receive(desired(2, bitrate(800)));
  await eventually('tried anew', () => run.pictures.done.includes('restart'));
  t.match(run.pushed.state.trial, { version: 2, isExcused: true }, 'but not of a broken camera');
  await run.end();
});

t.test('a camera that is closed while it is set has nothing to go back on', async (t) => {
  const pictures = new TestPictures();
  pictures.isOpen = false;
  pictures.fault = new LenscapError('CAPTURE_ENDED', 'nothing is captured now');
  const run = new Run(boardOf(t.testdir()), new TestGate(), pictures);
  run.receive(desired(1, bitrate(700)));
  await eventually('applied', () => run.states.includes('1 applied'));
  t.equal(run.pushed.settings.now().video.bitrateKbps, 700);
  await run.end();
});

t.test('a crash or a loss of power while trying goes back; an orderly stop does not', async (t) => {
  const dir = t.testdir();
  const board = boardOf(dir);
  const killed = new Run(board);
  killed.pictures.flow = false;
  killed.receive(desired(1, width(640)));
  await eventually('tried', () => killed.pictures.done.includes('restart'));
  const bytes = readFileSync(join(dir, 'configuration'));
  t.match(bytes.toString(), '"isUnderWay":true', 'noted before it acts');
  const after = new Run(board);
  t.equal(after.pushed.settings.now(), board);
  await eventually('told', () => after.states.includes('1 reverted'));
  t.match(after.reports.at(-1), { code: 'CONFIG_UNHEALTHY', detail: /crashed or lost power/ });
  t.match(after.reverted, [{ code: 'CONFIG_UNHEALTHY' }]);
  after.pictures.flow = false;
  after.receive(desired(2, width(320)));
  await eventually('tried', () => after.pictures.done.includes('restart'));
  await after.end();
  const next = new Run(board);
  t.equal(next.pushed.settings.now().video.width, 320, 'goes on trying');
  await eventually('proven', () => next.pushed.state.good.version === 2);
  t.strictSame(next.pictures.done, [], 'it was set from the start');
  t.strictSame(next.reverted, [], 'there was nothing to give up');
  await next.end();
  await killed.end();
});

t.test('without wanted pictures it is applied at once, and proven when they come', async (t) => {
  const dir = t.testdir();
  const board = boardOf(dir);
  const pictures = new TestPictures();
  pictures.isOpen = false;
  const run = new Run(board, new TestGate(), pictures);
  run.receive(desired(1, { recording: { mode: 'off' } }));
  await eventually('applied', () => run.states.includes('1 applied'));
  await eventually('nothing can break', () => run.pushed.state.trial?.isUnderWay === false);
  const other = new Run(board, new TestGate(), pictures);
  t.equal(other.pushed.settings.now().recording.mode, 'off', 'a loss of power takes nothing back');
  pictures.isOpen = true;
  await eventually('proven', () => other.pushed.state.good.version === 1);
  await run.end();
  await other.end();
});

t.test('a newer version takes the place of one that is tried', async (t) => {
  const run = new Run(boardOf(t.testdir()));
  run.pictures.flow = false;
  run.receive(desired(1, width(640)));
  await eventually('tried', () => run.pictures.done.length === 1);
  run.receive(desired(2, width(320)));
  run.receive(desired(3, 'not JSON'));
  await eventually('tried', () => run.pictures.done.length === 2);
  t.match(run.reports.at(-1), { version: 3, state: 'rejected', inForce: 2 });
  run.pictures.flow = true;
  await eventually('proven', () => run.pushed.state.good.version === 2);
  t.equal(run.pushed.settings.now().video.width, 320);
  await run.end();
});

t.test('what is not for this board, or not of the owner, is ignored', async (t) => {
  const run = new Run(boardOf(t.testdir()));
  const document = JSON.stringify(bitrate(1));
  const other = { deviceId: 'cam-bbbbbbbbbbbbbbbb', version: 9, document };
  const good = Buffer.from(desired(9, bitrate(1)));
  for (const payload of [
    desired(9, bitrate(1), stranger.privateKey),
    signDesiredConfig(other, consent.privateKey),
    good.subarray(0, good.length - 1),
    Buffer.from(good).fill((good.at(20) ?? 0) ^ 1, 20, 21),
    Buffer.alloc(0),
    Buffer.alloc(1 << 20, 7),
    desired(9, `{"label":{"name":"${'x'.repeat(1 << 20)}"}}`),
  ])
    run.receive(payload);
  t.equal(run.pushed.state.highest, 0);
  t.equal(run.log.filter(({ msg }) => msg.includes('is ignored')).length, 7);
  t.strictSame(run.reports, []);
  await run.end();
});

t.test('what is wrong is rejected with its path, and all stays as it was', async (t) => {
  const board = boardOf(t.testdir());
  const run = new Run(board);
  const many = Array.from({ length: 1000 }, (_, at) => [at / 1000, 0.5]);
  const table: readonly (readonly [unknown, string])[] = [
    [{ video: { width: 1e9 } }, '/video/width'],
    [{ video: { width: 'wide' } }, '/video/width'],
    [{ source: { type: 'test' } }, ''],
    [{ video: { encoder: 'x264enc' } }, '/video'],
    [{ stateDir: '/tmp' }, ''],
    [{ health: { provenAfterMs: 600 } }, ''],
    [{ capture: {} }, ''],
    [{ label: { name: 7 } }, '/label/name'],
    [{ masks: [many] }, '/masks/0'],
    [{ motion: { zones: [[[2, 2]]] } }, '/motion/zones/0'],
    [{ clock: { timeZone: 'Mars/Olympus' } }, '/clock/timeZone'],
    [{ recording: { schedule: [{ days: ['mon'], from: '25:00', to: '26:00' }] } }, '/recording'],
    [{ spool: { memoryBytes: 1 } }, '/spool/memoryBytes'],
    [{ video: { bitrateKbps: 50_000 }, segment: { durationMs: 60_000 } }, '/spool/memoryBytes'],
    [[], ''],
    ['null', ''],
    ['{', ''],
    ['{"__proto__":{"x":1}}', ''],
    [`${'['.repeat(30_000)}`, ''],
  ];
  for (const [at, [document, path]] of table.entries()) {
    run.receive(desired(at + 1, document));
    const name = JSON.stringify(document).slice(0, 60);
    await eventually(name, () => run.states.includes(`${at + 1} rejected`));
    const { faults = [], code } = run.reports.at(-1) ?? {};
    t.equal(code, 'CONFIG_INVALID', name);
    t.ok(
      faults.some((fault) => fault.path.startsWith(path)),
      `${name}: ${faults.map((fault) => fault.path)}`,
    );
  }
  t.equal(run.pushed.settings.now(), board);
  t.strictSame(run.pictures.done, []);
  await run.end();
});

t.test(
  'more than consent allows is rejected, and a later withdrawal takes nothing back',
  async (t) => {
    const run = new Run(boardOf(t.testdir()));
    run.receive(desired(1, { audio: { on: true }, snapshot: { intervalS: 60 } }));
    await eventually('rejected', () => run.states.includes('1 rejected'));
    t.match(run.reports.at(-1), {
      code: 'CONSENT_MISSING',
      faults: [{ path: '/audio/on' }, { path: '/snapshot/intervalS' }],
    });
    run.gate.set(['video', 'audio', 'device_info']);
    run.receive(desired(2, { audio: { on: true } }));
    await eventually('applied', () => run.states.includes('2 applied'));
    run.gate.set(['video', 'device_info']);
    await eventually('proven', () => run.pushed.state.good.version === 2);
    t.equal(run.pushed.settings.now().audio.on, true);
    await run.end();
  },
);

t.test('nothing is told without consent to that part, and all of it when it comes', async (t) => {
  const gate = new TestGate();
  gate.set(['video']);
  const run = new Run(boardOf(t.testdir()), gate);
  run.receive(desired(1, bitrate(700)));
  await eventually('proven', () => run.pushed.state.good.version === 1);
  gate.set(['video', 'device_info'], ['model', 'health']);
  t.strictSame(run.reports, []);
  gate.set(['video', 'device_info'], ['configuration']);
  await eventually('told', () => run.states.length === 1);
  t.match(run.reports, [{ version: 1, state: 'applied', epoch: gate.epoch }]);
  run.connect();
  await eventually('told again on a connection', () => run.states.length === 2);
  await run.end();
});

t.test('what the disk does not take is rejected, and taken when it is sent again', async (t) => {
  const dir = t.testdir({ state: {} });
  const state = join(dir, 'state');
  const run = new Run(boardOf(join(state, 'gone')));
  run.receive(desired(1, bitrate(700)));
  await eventually('rejected', () => run.states.includes('1 rejected'));
  t.match(run.reports.at(-1), { code: 'STORE_FAILED', inForce: 0 });
  t.strictSame(run.pictures.done, []);
  mkdirSync(join(state, 'gone'));
  run.receive(desired(1, bitrate(700)));
  await eventually('applied', () => run.states.includes('1 applied'));
  await run.end();
});

t.test("a proven version that the board's file goes with no more is dropped, loudly", async (t) => {
  const dir = t.testdir();
  const run = new Run(boardOf(dir));
  run.receive(desired(1, { segment: { durationMs: 60_000 } }));
  await eventually('proven', () => run.pushed.state.good.version === 1);
  await run.end();
  const small = boardOf(dir, { spool: { memoryBytes: 8 << 20 } });
  const next = new Run(small);
  t.equal(next.pushed.settings.now(), small);
  await eventually('told', () => next.states.includes('1 rejected'));
  t.match(next.reports.at(-1)?.faults, [{ path: '/spool/memoryBytes' }]);
  await next.end();
});
