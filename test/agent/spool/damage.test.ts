// Damage on flash: a file cut at any byte or with any byte changed never gives wrong bytes, never throws
// where nothing may be thrown, is told, and leaves the others as they were.
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { NewRecord } from '../../../agent/spool/flash.ts';
import { seeded } from '../../seeded.ts';
import { bytesFrom, contentsOf, gapRecord, idOf, openAt, record, whole } from './records.ts';

const LARGE_BYTES = 600_000;
const IS_LONG = process.env.TORTURE !== undefined;
const SAMPLES = IS_LONG ? 2000 : 20;
/** Share of the bytes of a small file that are tried. */
const SHARE = IS_LONG ? 1 : 0.3;

interface Place {
  readonly folder: string;
  readonly path: string;
  readonly file: Buffer;
}

/** A folder with a record before and one behind the one that will be damaged. */
async function around(t: Test, one: NewRecord): Promise<Place> {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  for (const each of [record(1), one, gapRecord(3)]) await flash.write(each);
  const path = join(folder, readdirSync(folder).find((name) => name.includes('2.')) ?? '');
  return { folder, path, file: readFileSync(path) };
}

/** Says what is wrong with how a damaged record 2 was taken, or nothing. */
async function verdict({ folder }: Place, one: NewRecord): Promise<string> {
  const opened = openAt(folder);
  if (opened.fault !== null) return `fault ${opened.fault.code}`;
  const there = await contentsOf(opened);
  const known = opened.damaged.length === 1 ? [] : [`2 ${one.kind} STORE_CORRUPT`];
  const expected = [whole(record(1)), ...known, whole(gapRecord(3))];
  if (there.join() !== expected.join()) return `found ${there.join()}`;
  const [id = idOf(one)] = opened.damaged;
  return id.number === 2 && id.kind === one.kind ? '' : `damaged ${id.number} ${id.kind}`;
}

async function damagedAt(
  place: Place,
  one: NewRecord,
  places: Iterable<number>,
  damaged: (at: number) => Buffer,
): Promise<string[]> {
  const wrong: string[] = [];
  for (const at of places) {
    writeFileSync(place.path, damaged(at));
    const fault = await verdict(place, one);
    if (fault !== '') wrong.push(`${at}: ${fault}`);
  }
  return wrong;
}

const changed = (file: Buffer, bit: number) => (at: number) => {
  const copy = Buffer.from(file);
  copy.writeUInt8(copy.readUInt8(at) ^ (1 << bit), at);
  return copy;
};

const KINDS = [
  record(2),
  gapRecord(2),
  record(2, { kind: 'stream', media: [] }),
  record(2, { kind: 'event', media: [] }),
];

for (const one of KINDS) {
  t.test(`a record (${one.kind}) cut at any byte is damaged, the others are not`, async (t) => {
    const random = seeded(t);
    const place = await around(t, one);
    const places = [...place.file.keys()].filter(() => random() < SHARE);
    const cut = (at: number) => place.file.subarray(0, at);
    t.same(await damagedAt(place, one, places, cut), []);
    const longer = () => Buffer.concat([place.file, Buffer.from('x')]);
    t.same(await damagedAt(place, one, [0], longer), [], 'and so is one that has grown');
  });

  t.test(
    `a record (${one.kind}) with any byte changed is damaged, the others are not`,
    async (t) => {
      const random = seeded(t);
      const place = await around(t, one);
      const places = [...place.file.keys()].filter(() => random() < SHARE);
      const flipped = (at: number) => changed(place.file, Math.floor(random() * 8))(at);
      t.same(await damagedAt(place, one, places, flipped), []);
    },
  );
}

t.test('the same for a segment of many pieces, at places by chance', async (t) => {
  const random = seeded(t);
  const one = record(2, { media: [bytesFrom('large', LARGE_BYTES)] });
  const place = await around(t, one);
  const places = Array.from({ length: SAMPLES }, () => Math.floor(random() * place.file.length));
  t.same(await damagedAt(place, one, places, (at) => place.file.subarray(0, at)), []);
  t.same(await damagedAt(place, one, places, changed(place.file, 3)), []);
});

t.test('two records that changed their contents are both damaged', async (t) => {
  const place = await around(t, record(2));
  const other = join(place.folder, '00000000000000000001.segment');
  const first = readFileSync(other);
  writeFileSync(other, place.file);
  writeFileSync(place.path, first);
  const { found, damaged } = openAt(place.folder);
  t.same(
    damaged.map(({ number }) => number),
    [1, 2],
  );
  t.same(found.map(idOf), [idOf(gapRecord(3))]);
});

t.test('a record that is damaged while the agent runs is told when it is read', async (t) => {
  const place = await around(t, record(2));
  const { flash } = openAt(place.folder);
  truncateSync(place.path, 200);
  await t.rejects(flash.read(record(2)), { code: 'STORE_CORRUPT' });
  writeFileSync(place.path, '');
  await t.rejects(flash.read(record(2)), { code: 'STORE_CORRUPT' });
  t.ok(await flash.read(record(1)));
});

t.test(
  'keys cut or changed at any byte: all records are damaged, and nothing throws',
  async (t) => {
    const random = seeded(t);
    const folder = t.testdir();
    const { flash } = openAt(folder);
    for (const one of [record(1), gapRecord(2)]) await flash.write(one);
    const path = join(folder, 'key');
    const file = readFileSync(path);
    const wrong: string[] = [];
    for (let at = 0; at < file.length; at += 1)
      for (const damaged of [file.subarray(0, at), changed(file, Math.floor(random() * 8))(at)]) {
        writeFileSync(path, damaged);
        const opened = openAt(folder);
        const isWhole = at === file.length - 1 && opened.found.length === 2;
        const isTold = opened.damaged.length === 2 && opened.fault === null;
        if (!isWhole && !isTold) wrong.push(`${at}: ${opened.fault?.message}`);
      }
    t.same(wrong, []);
    writeFileSync(path, file);
    t.same(await contentsOf(openAt(folder)), [record(1), gapRecord(2)].map(whole));
  },
);
