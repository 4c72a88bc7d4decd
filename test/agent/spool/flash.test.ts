// Records on real files: what is written is found and read, what is removed or erased never again.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eraseSpool, Flash } from '../../../agent/spool/flash.ts';
import { seeded } from '../../seeded.ts';
import {
  bytesFrom,
  contentsOf,
  emptyOf,
  gapRecord,
  idOf,
  openAt,
  record,
  whole,
} from './records.ts';

const INTERRUPTIONS = process.env.TORTURE === undefined ? 50 : 3000;

const recordsIn = (folder: string) => readdirSync(folder).filter((name) => name !== 'key');
const keysIn = (folder: string) =>
  Object.keys(JSON.parse(readFileSync(join(folder, 'key'), 'utf8')).keys);

t.test('an empty flash opens on a folder that is not there yet', async (t) => {
  const folder = join(t.testdir(), 'spool');
  const opened = openAt(folder);
  t.same(emptyOf(opened), []);
  t.equal(opened.flash.usedBytes(), 0);
  t.equal(statSync(folder).mode & 0o777, 0o700);
});

t.test('what was written is found in order and read as it was, also by the next run', async (t) => {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  const records = [
    record(1, { kind: 'stream', media: [] }),
    record(2),
    gapRecord(3),
    record(10, { scopes: ['video', 'audio'], media: [bytesFrom('large', 700_000)] }),
    record(100_000_000_000),
  ];
  for (const one of [3, 0, 4, 1, 2].map((at) => records[at] ?? record(0)))
    t.equal(await flash.write(one), Flash.bytesOf(one));
  for (const one of records) {
    const { head, media } = await flash.read(one);
    t.ok(media.equals(Buffer.concat(one.media)) && Buffer.from(head).equals(one.head));
  }
  const next = openAt(folder);
  t.same(next.found.map(idOf), records.map(idOf));
  t.same(await contentsOf(next), records.map(whole));
  t.same(
    next.found.map(({ scopes }) => scopes),
    records.map(({ scopes }) => scopes),
  );
  const bytes = records.map((one) => Flash.bytesOf(one));
  t.same(
    next.found.map((one) => one.bytes),
    bytes,
  );
  t.equal(
    next.flash.usedBytes(),
    bytes.reduce((sum, one) => sum + one),
  );
  t.equal(flash.usedBytes(), next.flash.usedBytes());
  t.ok(next.found.every(({ writtenAtMs }) => Math.abs(Date.now() - writtenAtMs) < 60_000));
  t.ok(recordsIn(folder).every((name) => (statSync(join(folder, name)).mode & 0o777) === 0o600));
});

t.test('a record of the same id takes the place of the one before', async (t) => {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  const grown = gapRecord(1, { head: bytesFrom('grown', 5000) });
  await flash.write(gapRecord(1));
  await flash.write(grown);
  t.equal(flash.usedBytes(), Flash.bytesOf(grown));
  t.same(await contentsOf(openAt(folder)), [whole(grown)]);
});

t.test('many writes at once are all there', async (t) => {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  const records = Array.from({ length: 20 }, (_, at) => record(at));
  await Promise.all(records.map((one) => flash.write(one)));
  t.same(await contentsOf(openAt(folder)), records.map(whole));
});

t.test('what was removed is gone, and its key with the last record that needs it', async (t) => {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  await flash.write(record(1));
  await flash.write(record(2));
  await flash.write(record(3, { scopes: ['video', 'audio'] }));
  flash.remove(record(1));
  t.same(keysIn(folder), ['video', 'video,audio']);
  flash.remove(record(3));
  t.same(keysIn(folder), ['video']);
  await t.rejects(flash.read(record(3)), { code: 'STORE_CORRUPT' });
  flash.remove(record(3));
  flash.remove(record(2));
  t.same(keysIn(folder), []);
  t.same(recordsIn(folder), []);
  t.equal(flash.usedBytes(), 0);
  await flash.write(record(4));
  t.same(await contentsOf(openAt(folder)), [whole(record(4))], 'it goes on with a new key');
});

t.test('what was erased is gone, the rest is as it was', async (t) => {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  const sound = [
    record(1, { scopes: ['video', 'audio'] }),
    record(3, { scopes: ['video', 'audio'] }),
  ];
  const kept = [record(2), gapRecord(4)];
  for (const one of [...sound, ...kept]) await flash.write(one);
  const keyBefore = readFileSync(join(folder, 'key'));
  const fileBefore = readFileSync(join(folder, recordsIn(folder)[0] ?? ''));
  flash.erase(sound);
  t.same(keysIn(folder), ['video']);
  t.same(await contentsOf(openAt(folder)), kept.map(whole));
  t.equal(flash.usedBytes(), 8192);
  flash.erase([...kept, ...sound]);
  t.same(readdirSync(folder), ['key']);
  t.notOk(readFileSync(join(folder, 'key')).includes('video'));
  t.equal(flash.usedBytes(), 0);
  t.ok(keyBefore.length > 0 && fileBefore.length > 0);
});

t.test('a write under way does not bring back what was erased or removed', async (t) => {
  const random = seeded(t);
  const folder = t.testdir();
  const records = [record(1), record(2)];
  const { flash } = openAt(folder);
  const started = performance.now();
  await Promise.all(records.map((one) => flash.write(one)));
  const writtenMs = performance.now() - started;
  flash.erase(records);
  const wrong: string[] = [];
  for (let turn = 0; turn < INTERRUPTIONS; turn += 1) {
    const writes = records.map((one) => flash.write(one));
    const until = performance.now() + random() * writtenMs;
    while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
    if (turn % 2 === 0) flash.erase(records);
    else for (const one of records) flash.remove(one);
    const bytes = await Promise.all(writes);
    const isTold = bytes.every((one) => one === 0 || one === Flash.bytesOf(record(1)));
    const left = recordsIn(folder);
    if (!isTold || left.length > 0 || flash.usedBytes() !== 0 || keysIn(folder).length > 0)
      wrong.push(`${turn}: ${bytes.join()} ${left.join()} ${flash.usedBytes()}`);
  }
  t.same(wrong, []);
  t.same(emptyOf(openAt(folder)), []);
});

t.test('what is written anew after it was erased in mid-write is there', async (t) => {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  const first = flash.write(record(1, { media: [bytesFrom('old', 2_000_000)] }));
  await new Promise((resolve) => setImmediate(resolve));
  flash.erase([record(1)]);
  const second = flash.write(record(1));
  t.equal(await first, 0);
  t.equal(await second, Flash.bytesOf(record(1)));
  t.same(await contentsOf(openAt(folder)), [whole(record(1))]);
});

t.test('a record that is erased while it is read is not given out', async (t) => {
  const { flash } = openAt(t.testdir());
  await flash.write(record(1, { media: [bytesFrom('large', 2_000_000)] }));
  const reading = flash.read(record(1));
  flash.erase([record(1)]);
  await t.rejects(reading, { code: 'STORE_CORRUPT' });
});

t.test('an erasure that a crash interrupted is brought to its end, in silence', async (t) => {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  await flash.write(record(1));
  const [name = ''] = recordsIn(folder);
  const file = readFileSync(join(folder, name));
  flash.erase([record(1)]);
  writeFileSync(join(folder, name), file);
  t.same(emptyOf(openAt(folder)), []);
  t.same(recordsIn(folder), []);
});

t.test('leftovers of a crash are removed, what is not of the spool is left alone', async (t) => {
  const folder = t.testdir({
    '00000000000000000001.segment.new': 'half',
    'key.new': 'half',
    'notes.txt': 'of somebody',
    '1.segment': 'too short a number',
    'lost+found': {},
  });
  t.same(emptyOf(openAt(folder)), []);
  t.same(readdirSync(folder), ['1.segment', 'lost+found', 'notes.txt']);
});

t.test('a record that was renamed, or whose name became something else, is damaged', async (t) => {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  for (const one of [record(1), record(2), gapRecord(3), record(4)]) await flash.write(one);
  const at = (number: number, kind: string) =>
    join(folder, `${String(number).padStart(20, '0')}.${kind}`);
  renameSync(at(1, 'segment'), at(5, 'segment'));
  renameSync(at(3, 'gap'), at(3, 'stream'));
  mkdirSync(at(6, 'gap'));
  symlinkSync(at(2, 'segment'), at(7, 'segment'));
  const opened = openAt(folder);
  t.same(opened.found.map(idOf), [record(2), record(4)].map(idOf));
  t.same(opened.damaged, [
    { number: 3, kind: 'stream' },
    { number: 5, kind: 'segment' },
    { number: 6, kind: 'gap' },
    { number: 7, kind: 'segment' },
  ]);
  for (const id of opened.damaged) opened.flash.remove(id);
  t.same(recordsIn(folder).length, 3, 'a folder cannot be removed, the others are');
});

t.test('a spool of another device is erased', async (t) => {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  await flash.write(record(1));
  const other = openAt(folder, 'cam-aaaaaaaaaaaaaaaa');
  t.same(emptyOf(other), []);
  t.same(readdirSync(folder), []);
  await other.flash.write(record(2));
  t.same(emptyOf(openAt(folder)), [], 'and so is this one in turn');
});

t.test('a spool of another version is refused and not touched', async (t) => {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  await flash.write(record(1));
  writeFileSync(join(folder, 'key'), '{"version":2,"deviceId":"cam-a"}');
  writeFileSync(join(folder, 'x.new'), 'of that version');
  const before = readdirSync(folder);
  const { flash: refused, found, fault } = openAt(folder);
  t.match(fault, { code: 'STORE_FAILED', message: /spool of version 2; this agent reads 1/ });
  t.same(found, []);
  await t.rejects(refused.write(record(2)), { code: 'STORE_FAILED' });
  await t.rejects(refused.read(record(1)), { code: 'STORE_CORRUPT' });
  refused.remove(record(1));
  refused.erase([record(1)]);
  t.same(readdirSync(folder), before);
});

t.test('without its keys all records are damaged, until they are removed', async (t) => {
  for (const lose of [
    (path: string) => rmSync(path),
    (path: string) => writeFileSync(path, 'x'),
    (path: string) => writeFileSync(path, ''),
  ]) {
    const folder = t.testdir();
    const { flash } = openAt(folder);
    for (const one of [record(1), gapRecord(2)]) await flash.write(one);
    lose(join(folder, 'key'));
    const opened = openAt(folder);
    t.same(opened.found, []);
    t.equal(opened.fault, null);
    t.same(opened.damaged, [idOf(record(1)), idOf(gapRecord(2))]);
    t.equal(opened.flash.usedBytes(), 8192, 'they take room');
    for (const id of opened.damaged) opened.flash.remove(id);
    t.equal(opened.flash.usedBytes(), 0);
    await opened.flash.write(record(3));
    t.same(await contentsOf(openAt(folder)), [whole(record(3))]);
    rmSync(folder, { recursive: true });
  }
});

t.test('where no folder can be, the fault is told and every write fails with it', async (t) => {
  const file = join(t.testdir({ file: '' }), 'file');
  const { flash, fault, found } = openAt(join(file, 'spool'));
  t.match(fault, { code: 'STORE_FAILED' });
  t.same(found, []);
  await t.rejects(flash.write(record(1)), { code: 'STORE_FAILED' });
  t.equal(flash.usedBytes(), 0);
  await t.rejects(flash.room(), { code: 'STORE_FAILED' });
});

t.test('the room is that of the file system', async (t) => {
  const { freeBytes, totalBytes } = await openAt(t.testdir()).flash.room();
  t.ok(freeBytes > 0 && totalBytes > freeBytes);
});

t.test('writing, reading, removing and erasing leaves no file open', async (t) => {
  const folder = t.testdir();
  const before = readdirSync('/proc/self/fd').length;
  for (let turn = 0; turn < 30; turn += 1) {
    const { flash } = openAt(folder);
    await flash.write(record(1));
    await flash.write(record(2));
    await flash.read(record(1));
    await t.rejects(flash.read(record(9)));
    flash.remove(record(1));
    flash.erase([record(2)]);
  }
  // What was erased is closed by another thread.
  for (let turn = 0; readdirSync('/proc/self/fd').length > before && turn < 1000; turn += 1)
    await new Promise((resolve) => setImmediate(resolve));
  t.equal(readdirSync('/proc/self/fd').length, before);
});

t.test(
  'at the end of an ownership nothing of the spool is left, of whatever version',
  async (t) => {
    const stateDir = t.testdir({ grant: 'kept by others' });
    eraseSpool(stateDir);
    const folder = join(stateDir, 'spool');
    const { flash } = openAt(folder);
    await flash.write(record(1));
    writeFileSync(join(folder, 'key'), '{"version":2}');
    writeFileSync(join(folder, 'index.db'), 'of a later version');
    eraseSpool(stateDir);
    t.same(readdirSync(stateDir), ['grant']);
    mkdirSync(join(folder, 'lost+found'), { recursive: true });
    eraseSpool(stateDir);
    t.ok(existsSync(join(folder, 'lost+found')), 'what is of the file system stays');
  },
);
