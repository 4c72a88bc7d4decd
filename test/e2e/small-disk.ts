// A disk of a few megabytes for one test: a tmpfs, gone with the test. Without the right to mount one,
// the test runs itself again in a namespace in which it is root.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';

export interface SmallDisk {
  readonly folder: string;
  /** Takes every byte that is left; the answer gives them back. */
  fill(): () => void;
}

export function smallDisk(t: Test, megabytes: number): SmallDisk {
  const top = mkdtempSync(join(tmpdir(), 'lenscap-disk-'));
  const folder = join(top, 'disk');
  mkdirSync(folder);
  const options = ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder];
  if (spawnSync('mount', options).status !== 0) {
    rmSync(top, { recursive: true });
    const again = ['-rm', process.execPath, ...process.argv.slice(1)];
    const env = { ...process.env, LENSCAP_IN_NAMESPACE: '1' };
    if (process.env.LENSCAP_IN_NAMESPACE) throw new Error('no tmpfs can be mounted here');
    process.exit(spawnSync('unshare', again, { stdio: 'inherit', env }).status ?? 1);
  }
  t.teardown(async () => {
    for (let i = 0; i < 50 && spawnSync('umount', [folder]).status !== 0; i++) await sleep(100);
    rmSync(top, { recursive: true, force: true });
  });
  const ballast = join(folder, 'ballast');
  const fill = () => {
    writeFileSync(ballast, '');
    spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096']);
    return () => rmSync(ballast);
  };
  return { folder, fill };
}
