// What the agent writes to its flash while it is online and at peace: sectors that reach the block
// device below a file system of its own, so that journal and metadata are in it.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { absolute, type Bench, type Figure } from './figures.ts';
import { needTool } from './native.ts';
import { run, type Started, stop, treeOf } from './processes.ts';
import { makeClip, Scene, until } from './scene.ts';

const MB = 1e6;
const SECTOR_BYTES = 512;
const LIMIT_MB = 1;
const SETTLE_MS = 60_000;
/** Time between two writes of the mark of the last pictures; a window holds whole ones. */
const MARK_S = 240;
const SECTORS_WRITTEN = 6;

/** Where bytes written are read off. */
interface Gauge {
  readonly what: string;
  /** Bytes so far. */
  read(): Promise<number>;
  close(): Promise<void>;
}

export async function flashFigures(bench: Bench): Promise<Figure[]> {
  const seconds = (bench.isQuick ? 1 : 3) * MARK_S;
  const scene = await Scene.open(bench, 'flash');
  const flash = join(scene.folder, 'flash');
  mkdirSync(flash);
  const disk = process.getuid?.() === 0 ? await ownDisk(scene.folder, flash) : undefined;
  try {
    const path = await makeClip(scene.folder);
    const settings = { source: { type: 'file', path, loop: true }, audio: { source: 'none' } };
    const agent = await scene.record({ ...settings, stateDir: join(flash, 'state') });
    const gauge = disk ?? ownWrites(agent);
    await sleep(SETTLE_MS);
    const figure = await wear(bench, scene, gauge, seconds);
    await stop(agent);
    return [figure];
  } finally {
    await scene.close(() => disk?.close());
  }
}

async function wear(bench: Bench, scene: Scene, gauge: Gauge, seconds: number): Promise<Figure> {
  const { deviceId, server } = scene;
  const state = await server.device(deviceId);
  const [before, startMs] = [await gauge.read(), performance.now()];
  await sleep(seconds * 1000);
  const [after, endMs] = [await gauge.read(), performance.now()];
  const hours = (endMs - startMs) / 3_600_000;
  const sent = (await server.device(deviceId)).bytes - state.bytes;
  // The renewal of a lease is saved as a new grant is, and with the lease as it comes once in hours.
  const epoch = await server.grant(deviceId, ['location']);
  const isObeyed = async () => (await server.device(deviceId)).appliedEpoch === epoch;
  await until('the grant was obeyed', isObeyed, 100);
  const grantBytes = (await gauge.read()) - after;
  bench.print(
    `${kib(after - before)} written in ${(hours * 60).toFixed(1)} min, ${kib(grantBytes)} for a new grant (${gauge.what}); ${((sent * 8) / hours / 3.6e9).toFixed(2)} Mbit/s were recorded`,
  );
  const name = 'bytes written to flash in an hour online at 2 Mbit/s';
  return absolute(name, 'MB', (after - before) / MB / hours + grantBytes / MB, LIMIT_MB);
}

const kib = (bytes: number): string => `${(bytes / 1024).toFixed(0)} KiB`;

/** An ext4 of its own, mounted over `folder`. */
async function ownDisk(scratch: string, folder: string): Promise<Gauge> {
  const image = join(scratch, 'flash.img');
  await run('truncate', ['-s', '512M', image]);
  // Nothing is left to be initialised while it is measured.
  const whole = ['-E', 'lazy_itable_init=0,lazy_journal_init=0'];
  await run(needTool('mkfs.ext4', 'e2fsprogs'), ['-q', '-F', ...whole, image]);
  await run('mount', ['-o', 'loop', image, folder]);
  const unmount = (): void => {
    spawnSync('umount', ['--lazy', folder]);
  };
  process.once('exit', unmount);
  const source = (await run('findmnt', ['--noheadings', '--output', 'SOURCE', folder])).trim();
  const statistics = `/sys/block/${source.replace('/dev/', '')}/stat`;
  return {
    what: 'at the block device',
    read: async () => {
      await run('sync', ['--file-system', folder]);
      const fields = readFileSync(statistics, 'utf8').trim().split(/\s+/);
      return Number(fields[SECTORS_WRITTEN]) * SECTOR_BYTES;
    },
    close: async () => {
      process.off('exit', unmount);
      await run('umount', [folder]);
    },
  };
}

/** Without the right to mount: what the processes had written, without journal and metadata. */
function ownWrites({ pid }: Started): Gauge {
  const written = (one: number): number => {
    const io = readFileSync(`/proc/${one}/io`, 'utf8');
    return Number(/^write_bytes: (\d+)/m.exec(io)?.[1] ?? 0);
  };
  return {
    what: 'by the processes; the file system comes on top',
    read: async () => treeOf(pid).reduce((sum, one) => sum + written(one), 0),
    close: async () => undefined,
  };
}
