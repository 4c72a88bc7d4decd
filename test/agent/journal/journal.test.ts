import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eraseOwnership, JOURNAL } from '../../../agent/identity/state-files.ts';
import { encodeBundle } from '../../../agent/journal/bundle.ts';
import { makeLog } from '../../../agent/journal/logger.ts';
import { decodeLogBatch } from '../../../proto/log-batch.ts';
import { seeded } from '../../seeded.ts';
import { Consent, DEVICE, type Rig, rig } from './rig.ts';

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
  for (let cut = 0; cut <= end; cut += 11) {
    writeFileSync(path, whole.subarray(0, cut));
    const complete = whole.subarray(0, cut).toString().split('\n').slice(1, -1).length;
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

t.test('a line of many megabytes costs a line, and the next one is whole', (t) => {
  const screamed = process.env.TORTURE === '1' ? 100 << 20 : 8 << 20;
  const written: string[] = [];
  const { consent, journal, folder, drain } = rig(t);
  const { log } = makeLog('info', journal, { write: (line) => written.push(line) });
  consent.grant();
  log.warn({ line: 'x'.repeat(screamed) }, 'it screamed');
  log.info('camera on');
  journal.flush();
  t.match(
    drain().lines.map((line) => JSON.parse(line)),
    [{ level: 'warn', sizeBytes: Number, droppedLines: 1 }, { msg: 'camera on' }],
  );
  t.ok(written.join('').length < 1000, 'also on standard error');
  t.ok(sizeOf(folder) < 4096);
  t.end();
});

t.test('what was dropped is told once, also after a restart', (t) => {
  const first = rig(t, { linesPerMinute: 10 });
  first.consent.grant();
  for (let line = 0; line < 30; line++) first.log.info('again');
  t.equal(first.drain().dropped, 20);
  t.equal(first.drain().dropped, 0);
  for (let line = 0; line < 7; line++) first.log.info('again');
  first.journal.detach();
  const second = rig(t, {}, first.folder, first.consent);
  t.equal(second.drain().dropped, 7);
  t.equal(second.drain().dropped, 0);
  t.end();
});

t.test('what is under way while the oldest go is not counted as lost', (t) => {
  const { log, consent, journal, drain } = rig(t, { maxBytes: 64 << 10, linesPerMinute: 1e6 });
  consent.grant();
  for (let count = 0; count < 100; count++) log.info({ count }, 'a line of the usual length');
  journal.flush();
  const underWay = journal.next(() => true);
  for (let count = 100; count < 5000; count++) log.info({ count }, 'a line of the usual length');
  journal.flush();
  journal.sent(underWay?.last ?? 0);
  const { lines, dropped } = drain();
  t.equal((underWay?.entries.length ?? 0) + lines.length + dropped, 5000);
  t.end();
});

t.test('after a loss of power nothing goes again under another id', (t) => {
  const random = seeded(t);
  const live = rig(t);
  live.consent.grant();
  const sent = new Map<string, string>();
  const states: string[] = [];
  const send = sending(live, sent);
  for (let step = 0; step < 300; step++) {
    const what = random();
    if (what < 0.6) live.log.info({ count: step }, 'sent');
    else if (what < 0.9) send();
    else {
      live.journal.flush();
      states.push(join(t.testdirName, `power-${step}`));
      cpSync(live.folder, states.at(-1) ?? '', { recursive: true });
    }
  }
  let twice = 0;
  for (const state of states) {
    const { lines, ids } = rig(t, {}, state, live.consent).drain();
    const under = lines.map((line) => sent.get(line));
    t.same(
      ids.filter((_, at) => under[at] !== undefined),
      under.filter((id) => id !== undefined),
    );
    twice += under.filter((id) => id !== undefined).length;
  }
  t.ok(twice > 0, `${twice} lines go again`);
  t.ok(states.length > 10 && sent.size > 100);
  t.end();
});

t.test(
  'a withdrawal erases what was noted under consent, in files too and at the next start',
  (t) => {
    const { log, consent, journal, folder } = rig(t, { maxBytes: 64 << 10, linesPerMinute: 1e6 });
    log.info('before');
    consent.grant();
    for (let count = 0; count < 900; count++) log.info({ count }, 'during');
    journal.flush();
    log.info({ count: 900 }, 'during');
    consent.withdraw();
    t.ok(journal.retain(consent.gate.mayKeep));
    t.notMatch(textOf(folder), 'during');
    log.info('after');
    journal.flush();
    t.match(textOf(folder), '"epoch":0');
    t.notMatch(textOf(folder), 'during');
    consent.grant();
    log.info('once more');
    journal.detach();
    consent.withdraw();
    rig(t, {}, folder, consent);
    t.notMatch(textOf(folder), 'once more', 'what a run that was killed left');
    t.end();
  },
);

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

t.test('what cannot be reached when consent ends is erased once it can', (t) => {
  const disk = join(t.testdir({ disk: {} }), 'disk');
  const { log, consent, journal, folder } = rig(t, {}, join(disk, 'journal'));
  consent.grant();
  log.info('lens');
  journal.detach();
  renameSync(disk, `${disk}-away`);
  writeFileSync(disk, 'a file in its place');
  consent.withdraw();
  const again = rig(t, {}, folder, consent);
  again.journal.retain(consent.gate.mayKeep);
  rmSync(disk);
  renameSync(`${disk}-away`, disk);
  t.match(textOf(folder), 'lens');
  again.journal.flush();
  t.notMatch(textOf(folder), 'lens');
  t.end();
});

t.test('files that cannot be made are tried again after 15 s, and nothing goes twice', (t) => {
  const blocked = join(t.testdir({ taken: 'a file' }), 'taken');
  let nowMs = 60_000;
  const { log, consent, drain, folder } = rig(
    t,
    {},
    join(blocked, 'journal'),
    new Consent(),
    () => nowMs,
  );
  const bomb = (): void => {
    for (let line = 0; line < 1000; line++) log.info({ count: line }, 'a line of the usual length');
  };
  consent.grant();
  nowMs += 20_000;
  bomb();
  t.ok(drain().lines.length >= 1000, 'all are sent from memory');
  rmSync(blocked);
  nowMs += 10_000;
  bomb();
  t.throws(() => readdirSync(folder), { code: 'ENOENT' });
  const { lines } = drain();
  t.equal(lines.length, 1000);
  nowMs += 10_000;
  bomb();
  t.match(textOf(folder), 'a line of the');
  t.equal(drain().lines.length, 1000, 'what was sent from memory does not go again');
  t.end();
});

t.test('what was acknowledged does not go again when power fails within a write', (t) => {
  const { log, consent, journal, folder, drain } = rig(t);
  consent.grant();
  log.info('first');
  drain();
  log.info('second');
  journal.flush();
  const [name = ''] = readdirSync(folder).filter((file) => file.endsWith('.ndjson'));
  const whole = readFileSync(join(folder, name));
  for (const cut of [whole.indexOf('second'), whole.indexOf('"first"') + 9, whole.length - 4]) {
    writeFileSync(join(folder, name), whole.subarray(0, cut));
    t.notMatch(said(rig(t, {}, folder, consent).drain().lines), ['first']);
  }
  t.end();
});

t.test('the last words are in a file before the call returns, past the limit of lines', (t) => {
  const { log, consent, folder } = rig(t, { linesPerMinute: 1 });
  consent.grant();
  log.info('one');
  log.info('two');
  log.fatal({ err: new Error('x'), code: 'BUG' }, 'the end');
  const text = textOf(folder);
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

/** Acknowledges the bundle before and sends the next one; notes each line with the id of its batch. */
function sending({ journal }: Rig, sent: Map<string, string>): () => void {
  let last = 0;
  return () => {
    journal.sent(last);
    const bundle = journal.next(() => true);
    if (bundle === null) return;
    last = bundle.last;
    const { batchId, lines } = decodeLogBatch(encodeBundle(bundle));
    for (const line of lines) sent.set(line, batchId);
  };
}

function textOf(folder: string): string {
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('');
}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}
