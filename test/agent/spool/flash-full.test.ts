// A flash of 4 MB that fills up: the failure is told, nothing half-written counts, and it goes on when
// there is room; erasing needs none. It is a small tmpfs; without the right to mount one, the test runs
// itself again in a namespace in which it is root.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Flash, NewRecord } from '../../../agent/spool/flash.ts';
import { contentsOf, faultsOf, openAt, record, whole } from './records.ts';

const DISK_BYTES = 4 << 20;

const top = mkdtempSync(join(tmpdir(), 'lenscap-flash-'));
const disk = join(top, 'disk');
mkdirSync(disk);
const mount = ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', disk];
if (spawnSync('mount', mount).status !== 0) {
  rmSync(top, { recursive: true });
  if (process.env.LENSCAP_IN_NAMESPACE) throw new Error('no tmpfs can be mounted here');
  const again = ['-rm', process.execPath, ...process.argv.slice(1)];
  const env = { ...process.env, LENSCAP_IN_NAMESPACE: '1' };
  process.exit(spawnSync('unshare', again, { stdio: 'inherit', env }).status ?? 1);
}
t.teardown(() => {
  spawnSync('umount', [disk]);
  rmSync(top, { recursive: true, force: true });
});

const folder = join(disk, 'spool');
const sound = { scopes: ['video', 'audio'] } as const;
const large = (number: number, more: Partial<NewRecord> = {}) =>
  record(number, { media: [Buffer.alloc(300_000, number)], ...more });

/** Writes until there is no room; returns what was written. */
async function fill(flash: Flash, from: number, more: Partial<NewRecord> = {}) {
  const written: NewRecord[] = [];
  for (let number = from; ; number += 1) {
    const one = large(number, more);
    try {
      await flash.write(one);
    } catch (error) {
      return { written, error };
    }
    written.push(one);
  }
}

t.test(
  'without room the write fails, the records are as before, and room lets it go on',
  async (t) => {
    const { flash } = openAt(folder);
    const { freeBytes, totalBytes } = await flash.room();
    t.ok(totalBytes <= DISK_BYTES && freeBytes <= totalBytes);
    const { written, error } = await fill(flash, 1);
    t.match(error, { code: 'STORE_FULL' });
    t.equal(written.length, 13);
    t.same(await contentsOf(openAt(folder)), written.map(whole));
    t.same(readdirSync(folder).length, written.length + 1, 'and no leftover takes room');
    const onDisk = readdirSync(folder).reduce(
      (sum, name) => sum + statSync(join(folder, name)).blocks,
      0,
    );
    t.ok(flash.usedBytes() <= onDisk * 512, 'bytes are counted as the disk counts them');
    flash.remove(large(1));
    await flash.write(large(50));
    t.same(await contentsOf(openAt(folder)), [...written.slice(1), large(50)].map(whole));
  },
);

t.test('on a disk without a free byte a key is destroyed, with the others kept', async (t) => {
  rmSync(folder, { recursive: true });
  const { flash } = openAt(folder);
  const kept = [record(1), record(2)];
  for (const one of kept) await flash.write(one);
  const { written } = await fill(flash, 10, sound);
  const ballast = join(disk, 'ballast');
  spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096']);
  t.equal((await flash.room()).freeBytes, 0);
  await t.rejects(flash.write(record(3, { scopes: ['audio'] })), { code: 'STORE_FULL' });
  flash.erase(written);
  const next = openAt(folder);
  t.same(faultsOf(next), []);
  t.same(await contentsOf(next), kept.map(whole));
  t.notOk(readdirSync(folder).some((name) => name.endsWith('.new')));
  rmSync(ballast);
});

t.test('on a disk without a free byte all is erased', async (t) => {
  rmSync(folder, { recursive: true });
  const { flash } = openAt(folder);
  const { written } = await fill(flash, 1);
  const ballast = join(disk, 'ballast');
  writeFileSync(ballast, '');
  spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096']);
  flash.erase(written);
  t.same(
    readdirSync(folder).filter((name) => name !== 'key'),
    [],
  );
  t.equal(flash.usedBytes(), 0);
  rmSync(ballast);
  await flash.write(record(1));
  t.same(await contentsOf(openAt(folder)), [whole(record(1))], 'and it goes on');
});

t.test('a read-only flash is read, refuses to write and to erase, and heals', async (t) => {
  rmSync(folder, { recursive: true });
  const { flash } = openAt(folder);
  await flash.write(record(1));
  await flash.write(record(2));
  const remount = (how: string) => spawnSync('mount', ['-o', `remount,${how}`, disk]).status;
  t.equal(remount('ro'), 0);
  const opened = openAt(folder);
  t.same(faultsOf(opened), []);
  t.same(await contentsOf(opened), [record(1), record(2)].map(whole));
  await t.rejects(opened.flash.write(record(3)), { code: 'STORE_FAILED' });
  opened.flash.remove(record(1));
  await t.rejects(opened.flash.read(record(1)), { code: 'STORE_CORRUPT' }, 'it counts for nothing');
  t.throws(() => opened.flash.erase([record(2)]), { code: 'STORE_FAILED' });
  t.equal(remount('rw'), 0);
  opened.flash.erase([]);
  t.same(await contentsOf(openAt(folder)), [], 'what could not be erased is erased with the next');
  await opened.flash.write(record(4));
  t.same(await contentsOf(openAt(folder)), [whole(record(4))]);
});

t.test('what was removed while the flash was read-only makes its room later', async (t) => {
  rmSync(folder, { recursive: true });
  const { flash } = openAt(folder);
  await flash.write(large(1));
  const before = await flash.room();
  const remount = (how: string) => spawnSync('mount', ['-o', `remount,${how}`, disk]).status;
  t.equal(remount('ro'), 0);
  flash.remove(large(1));
  t.ok(flash.usedBytes() > 300_000);
  t.equal(remount('rw'), 0);
  const after = await flash.room();
  t.equal(flash.usedBytes(), 0);
  t.ok(after.freeBytes >= before.freeBytes + 300_000);
});

t.test('the room of what was just removed is known', async (t) => {
  rmSync(folder, { recursive: true });
  const { flash } = openAt(folder);
  await flash.write(record(1));
  flash.remove(record(1));
  const { freeBytes } = await flash.room();
  const { written } = await fill(flash, 2);
  flash.remove(...written);
  t.equal((await flash.room()).freeBytes, freeBytes);
});
