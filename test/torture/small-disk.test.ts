// Cameras whose state is on a small disk, and on one that turns read-only: the spool goes on in memory,
// says so, and takes to flash again when it can; nothing else is lost, and nothing crashes.
import t, { type Test } from 'tap';
import { House } from '../e2e/house.ts';
import { eventually, FILE_TIMEOUT_MS } from '../e2e/processes.ts';
import { seeded } from '../seeded.ts';
import { type Evidence, faultsOf, figuresOf, totalsOf } from './audit.ts';
import { WatchedCamera } from './camera.ts';
import { FolderWatch } from './folder-watch.ts';
import { GOP_MS, makeFootage } from './footage.ts';
import { decodingFaults } from './media.ts';
import { SmallDisk } from './small-disk.ts';
import { printTable } from './table.ts';

const IS_LONG = process.env.TORTURE === '1';
const ROUNDS = IS_LONG ? 8 : 1;
const DISK_BYTES = 4 << 20;
const KEPT_FREE = 0.05;
const FLUSH_AFTER_MS = 500;
const MAY_LOSE_US = 4e6;
const MEMORY_ONLY = 'the spool is held in memory only';
const FLASH_AGAIN = 'the flash takes again what waits';
t.setTimeout(FILE_TIMEOUT_MS + ROUNDS * 120_000);

const random = seeded(t);
const house = await House.open(t);
const source = await makeFootage(house.folder);
const common = { source, audio: 'none', segment: { durationMs: GOP_MS } } as const;
const evidence: Evidence[] = [];

/** Added one after another, since each change of the house is made alone. */
function added(name: string, spool: object): Promise<WatchedCamera> {
  const options = { ...common, spool: { flushAfterMs: FLUSH_AFTER_MS, ...spool } };
  return WatchedCamera.add(t, house, name, options);
}

const small = await added('small', { maxBytes: 64 << 20 });
const worn = await added('worn', { durability: 'always' });
const locked = await added('locked', {});

async function healthOf(camera: WatchedCamera): Promise<string | undefined> {
  const path = `/api/devices/${camera.id}`;
  return (await house.ask<{ spool: { state: string } | null }>('GET', path)).spool?.state;
}

/** How often the agent has said it. */
function timesSaid(camera: WatchedCamera, what: string): number {
  const { out, err } = camera.agent;
  return (out + err).split(what).length - 1;
}

async function saysOnceMore(camera: WatchedCamera, what: string, before: number): Promise<void> {
  await eventually(
    `"${what}"`,
    () => timesSaid(camera, what) > before,
    90_000,
    () => camera.agent.tail(),
  );
}

async function judged(t: Test, camera: WatchedCamera): Promise<Evidence> {
  const one = await camera.evidence(MAY_LOSE_US);
  t.strictSame(faultsOf(one), []);
  printTable(t, [{ ...figuresOf(one), ...totalsOf(one.account) }]);
  evidence.push(one);
  return one;
}

/** A disk that is full without the spool, then has room, then is filled by the spool. */
async function fillUp(camera: WatchedCamera, disk: SmallDisk): Promise<FolderWatch> {
  const before = timesSaid(camera, MEMORY_ONLY);
  const again = timesSaid(camera, FLASH_AGAIN);
  const full = timesSaid(camera, 'the spool is full');
  const giveBack = disk.fill();
  camera.cut();
  await saysOnceMore(camera, MEMORY_ONLY, before);
  giveBack();
  await saysOnceMore(camera, FLASH_AGAIN, again);
  const watch = new FolderWatch(camera.spoolFolder);
  const watching = watch.run();
  await saysOnceMore(camera, 'the spool is full', full);
  camera.mend();
  await camera.recordsOn();
  await eventually('it has caught up', () => camera.segmentsOnFlash() === 0);
  watch.stop();
  await watching;
  return watch;
}

async function smallFolder(t: Test, camera: WatchedCamera, disk: SmallDisk): Promise<void> {
  await camera.grant('video');
  camera.start();
  for (let round = 0; round < ROUNDS; round++) {
    await camera.recordsOn();
    const { leastFree, mostBytes } = await fillUp(camera, disk);
    t.ok(leastFree >= KEPT_FREE, `${(leastFree * 100).toFixed(1)}% were free at least`);
    t.ok(mostBytes > DISK_BYTES / 2, `${mostBytes} bytes in the spool at most`);
  }
  t.equal(await camera.stop('SIGTERM'), 0);
  const { account } = await judged(t, camera);
  t.ok('lost spool_full' in totalsOf(account), 'what was given up for room is told');
}

async function readOnly(t: Test, camera: WatchedCamera, disk: SmallDisk): Promise<void> {
  await camera.grant('video', 'device_info');
  camera.start();
  for (let round = 0; round < ROUNDS; round++) {
    await camera.recordsOn();
    const before = timesSaid(camera, MEMORY_ONLY);
    await disk.setWritable(false);
    await saysOnceMore(camera, MEMORY_ONLY, before);
    await eventually('it is told', async () => (await healthOf(camera)) === 'memory_only');
    await camera.recordsOn();
    const again = timesSaid(camera, FLASH_AGAIN);
    await disk.setWritable(true);
    await saysOnceMore(camera, FLASH_AGAIN, again);
    await eventually('it is told', async () => (await healthOf(camera)) === 'on_flash');
    camera.cut();
    await eventually('it is on flash', () => camera.segmentsOnFlash() >= 3);
    await camera.restart('SIGKILL');
    camera.mend();
  }
  await camera.recordsOn();
  await eventually('it has caught up', () => camera.segmentsOnFlash() === 0);
  t.equal(await camera.stop('SIGTERM'), 0);
  const { account } = await judged(t, camera);
  const lost = account.filter(({ kind }) => kind === 'lost');
  t.strictSame(lost, [], 'nothing was given up');
}

async function withdrawnReadOnly(t: Test, camera: WatchedCamera, disk: SmallDisk): Promise<void> {
  await camera.grant('video');
  camera.start();
  await camera.recordsOn();
  camera.cut();
  const wanted = 2 + Math.floor(random() * 3);
  await eventually('it is on flash', () => camera.segmentsOnFlash() >= wanted);
  await disk.setWritable(false);
  const epoch = await camera.withdraw();
  camera.mend();
  await camera.agent.says('cannot be erased yet');
  const { cap, appliedEpoch } = await house.device(camera.id);
  t.strictSame([cap, appliedEpoch < epoch], ['on', true], 'not confirmed before it is erased');
  await disk.setWritable(true);
  await camera.obeys(epoch);
  await eventually('nothing is left', () => camera.records().length === 0);
  t.strictSame(camera.keysWith('video'), []);
  await camera.grant('video');
  await camera.recordsOn();
  t.equal(await camera.stop('SIGTERM'), 0);
  await judged(t, camera);
}

t.test('cameras whose flash is full, or fails', async (t) => {
  const smallDisk = SmallDisk.mount(t, small.stateFolder, DISK_BYTES);
  const wornDisk = SmallDisk.mount(t, worn.spoolFolder, 4 * DISK_BYTES);
  const lockedDisk = SmallDisk.mount(t, locked.spoolFolder, 4 * DISK_BYTES);
  t.jobs = 3;
  await Promise.all([
    t.test('a state folder of 4 MB: full, and on flash when there is room', (t) =>
      smallFolder(t, small, smallDisk),
    ),
    t.test('a flash that turns read-only: in memory, told, and back', (t) =>
      readOnly(t, worn, wornDisk),
    ),
    t.test('what was withdrawn while the flash was read-only is erased when it can be', (t) =>
      withdrawnReadOnly(t, locked, lockedDisk),
    ),
  ]);
});

t.test('what is stored is whole, and decodes', async (t) => {
  t.match(await house.verify(), { code: 0, faults: { length: 0 } });
  t.equal(evidence.length, 3);
  t.equal(await decodingFaults(house, small.id, false), '');
});
