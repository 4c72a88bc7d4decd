// A large spool: erasing megabytes takes the time of unlinking names, and many small records are opened
// before anybody notices. TORTURE: 2 GB, and 30,000 records.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { nameOf } from '../../../agent/spool/contents.ts';
import { Keyring } from '../../../agent/spool/keys.ts';
import { sealed } from '../../../agent/spool/record.ts';
import { FILE_TIMEOUT_MS } from '../../e2e/processes.ts';
import { contentsOf, DEVICE, gapRecord, openAt, record, whole } from './records.ts';

t.setTimeout(FILE_TIMEOUT_MS);

const IS_LONG = process.env.TORTURE !== undefined;
const LARGE = IS_LONG ? 2000 : 60;
const SMALL = IS_LONG ? 30_000 : 1000;
const ERASED_WITHIN_MS = 500;
/** Far above the aim, for a machine that has much else to do. */
const OPENED_WITHIN_MS = 10_000;

function msOf(work: () => void): number {
  const from = performance.now();
  work();
  return Math.round(performance.now() - from);
}

t.test('segments of a megabyte each are erased at once, others stay', async (t) => {
  const folder = t.testdir();
  const { flash } = openAt(folder);
  const media = Array.from({ length: 16 }, () => Buffer.alloc(65_536, 1));
  const scopes = ['video', 'audio'] as const;
  const large = Array.from({ length: LARGE }, (_, number) => record(number, { media, scopes }));
  for (const one of large) await flash.write(one);
  await flash.write(gapRecord(LARGE));
  const megabytes = Math.round(flash.usedBytes() / 1e6);
  const ms = msOf(() => flash.erase(large));
  t.comment(`${LARGE} files, ${megabytes} MB: ${ms} ms`);
  t.ok(ms < ERASED_WITHIN_MS, `${ms} ms`);
  t.equal(readdirSync(folder).length, 2, 'the keys and one record are left');
  t.same(await contentsOf(openAt(folder)), [whole(gapRecord(LARGE))]);
});

t.test('many small records are opened in little time', async (t) => {
  const folder = join(t.testdir(), 'spool');
  mkdirSync(folder);
  const key = new Keyring(folder, DEVICE, new Map()).obtain('video');
  for (let number = 0; number < SMALL; number += 1) {
    const one = gapRecord(number);
    // Without the syncs that `write` takes so long for.
    writeFileSync(join(folder, nameOf(one)), Buffer.concat([...sealed(one, DEVICE, key)]));
  }
  let found = 0;
  const ms = msOf(() => {
    found = openAt(folder).found.length;
  });
  t.comment(`${SMALL} records: ${ms} ms`);
  t.equal(found, SMALL);
  t.ok(ms < OPENED_WITHIN_MS);
});
