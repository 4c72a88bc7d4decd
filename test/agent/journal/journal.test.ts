import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eraseOwnership, JOURNAL } from '../../../agent/identity/state-files.ts';
import { Consent, DEVICE, rig } from './rig.ts';

const said = (lines: readonly string[]): string[] => lines.map((line) => JSON.parse(line).msg);

t.test('only what was written under consent is ever sent', (t) => {
  const { log, consent, journal, drain } = rig(t);
  log.info('before');
  consent.grant();
  log.info('during');
  consent.withdraw();
  log.info('between');
  t.same(drain().lines, [], 'nothing is sent after the withdrawal');
  consent.grant();
  log.info('after');
  journal.flush();
  t.same(said(drain().lines), ['after'], 'nor what was written under an earlier consent');
  t.same(drain().lines, [], 'and nothing twice');
  t.end();
});

t.test('what waits when consent ends is never sent by a later one, also after a restart', (t) => {
  const first = rig(t);
  first.consent.grant();
  first.log.info('waits');
  first.journal.flush();
  first.consent.withdraw();
  first.consent.grant();
  const second = rig(t, {}, first.folder, first.consent);
  second.log.info('new');
  t.same(said(second.drain().lines), ['new']);
  t.end();
});

t.test('what was not sent before a restart is sent after it, in order and once', (t) => {
  const first = rig(t);
  first.consent.grant();
  for (const word of ['one', 'two', 'three']) first.log.info(word);
  const bundle = first.journal.next(() => true);
  t.equal(bundle?.entries.length, 3);
  first.journal.sent((bundle?.entries[0]?.number ?? 0) + 0);
  first.journal.detach();
  const second = rig(t, {}, first.folder, first.consent);
  second.log.info('four');
  t.same(said(second.drain().lines), ['two', 'three', 'four']);
  second.journal.detach();
  const third = rig(t, {}, first.folder, first.consent);
  t.same(third.drain().lines, []);
  t.end();
});

t.test('a line that a crash cut costs that line alone', (t) => {
  const first = rig(t);
  first.consent.grant();
  for (const word of ['one', 'two', 'three']) first.log.info(word);
  first.journal.flush();
  const [name = ''] = readdirSync(first.folder).filter((file) => file.endsWith('.ndjson'));
  const path = join(first.folder, name);
  const whole = readFileSync(path);
  const end = whole.length - '{"sent":0}\n'.length;
  for (let cut = 0; cut <= end; cut += 7) {
    writeFileSync(path, whole.subarray(0, cut));
    const complete = whole.subarray(0, cut).toString().split('\n').slice(0, -1).length;
    const again = rig(t, {}, first.folder, first.consent);
    again.log.info('new');
    again.journal.flush();
    const words = said(again.drain().lines);
    t.equal(words.at(-1), 'new', 'the next line is whole');
    t.ok(words.length - 1 >= complete, `${complete} whole lines are there`);
  }
  t.end();
});

t.test('a bomb of lines costs bounded memory and flash, and is counted to the line', (t) => {
  const { log, consent, journal, folder, drain } = rig(t, { linesPerMinute: 100 });
  consent.grant();
  const before = process.memoryUsage().heapUsed;
  const startMs = performance.now();
  for (let line = 0; line < 100_000; line++) log.info({ count: line }, 'again');
  const perLineUs = (performance.now() - startMs) / 100;
  t.comment(`${perLineUs.toFixed(1)} us for each line`);
  t.ok(process.memoryUsage().heapUsed - before < 64 << 20, 'memory stays');
  journal.flush();
  const { lines, dropped } = drain();
  t.equal(lines.length + dropped, 100_000, 'each line is sent or counted');
  t.ok(lines.length >= 100 && lines.length < 1000, `${lines.length} lines were taken`);
  t.ok(sizeOf(folder) < 1 << 20);
  t.end();
});

t.test('files are private and bounded, and what rotation takes is counted', (t) => {
  const maxBytes = 64 << 10;
  const { log, consent, journal, folder, drain } = rig(t, { maxBytes, linesPerMinute: 1e6 });
  consent.grant();
  for (let line = 0; line < 5000; line++) log.info({ count: line }, 'a line of the usual length');
  journal.flush();
  t.ok(sizeOf(folder) <= maxBytes + (64 << 10), `${sizeOf(folder)} bytes`);
  for (const name of readdirSync(folder))
    t.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
  const { lines, dropped } = drain();
  t.equal(lines.length + dropped, 5000);
  t.equal(JSON.parse(lines.at(-1) ?? '').count, 4999, 'the newest stay');
  t.end();
});

t.test('where nothing can be written it goes on in memory, bounded and counted', (t) => {
  const folder = join(t.testdir({ taken: 'a file' }), 'taken', 'journal');
  const { log, consent, journal, drain } = rig(t, { linesPerMinute: 1e6 }, folder);
  consent.grant();
  for (let line = 0; line < 20_000; line++) log.info({ count: line }, 'a line of the usual length');
  journal.flush(true);
  const { lines, dropped } = drain();
  t.equal(lines.length + dropped, 20_000);
  t.ok(lines.length < 10_000, 'the oldest went');
  t.equal(JSON.parse(lines.at(-1) ?? '').count, 19_999);
  t.end();
});

t.test('the last words are in a file before the call returns, past the limit of lines', (t) => {
  const { log, consent, folder } = rig(t, { linesPerMinute: 1 });
  consent.grant();
  log.info('one');
  log.info('two');
  log.fatal({ err: new Error('x'), code: 'BUG' }, 'the end');
  const text = readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('');
  t.match(text, '"level":"fatal"');
  t.match(text, '"dropped":1');
  t.end();
});

t.test('nothing of one owner is left for the next one', (t) => {
  const state = t.testdir();
  const first = rig(t, {}, join(state, JOURNAL));
  first.consent.grant();
  first.log.info('of the first owner');
  first.journal.flush();
  first.log.info('still in memory');
  first.journal.detach();
  eraseOwnership(state);
  first.log.error('after the departure');
  t.notOk(readdirSync(state).includes(JOURNAL), 'the files go with the ownership');
  first.journal.flush(true);
  t.notOk(readdirSync(state).includes(JOURNAL), 'and do not come again');
  const consent = new Consent();
  consent.grant();
  first.journal.attach({ deviceId: 'cam-bbbbbbbbbbbbbbbb', gate: consent.gate });
  first.log.info('of the second owner');
  const bundle = first.journal.next(() => true);
  t.same(said(bundle?.entries.map(({ line }) => line) ?? []), ['of the second owner']);
  t.end();
});

t.test('files of another device are erased when the journal is attached', (t) => {
  const first = rig(t);
  first.consent.grant();
  first.log.info('of the first device');
  first.journal.flush();
  writeFileSync(join(first.folder, 'owner'), 'cam-bbbbbbbbbbbbbbbb');
  const second = rig(t, {}, first.folder, first.consent);
  t.same(second.drain().lines, []);
  t.equal(readFileSync(join(first.folder, 'owner'), 'utf8'), DEVICE);
  t.end();
});

t.test('a folder that somebody removed is made again', (t) => {
  const { log, consent, journal, folder, drain } = rig(t);
  consent.grant();
  log.info('one');
  journal.flush();
  rmSync(folder, { recursive: true });
  mkdirSync(join(folder, '..'), { recursive: true });
  log.info('lost with it');
  journal.flush();
  log.info('two');
  journal.flush();
  t.same(said(drain().lines), ['two']);
  t.end();
});

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
