// A small file system of the tests' own (tmpfs), which can be made read-only and full. Without the right
// to mount one, the test runs itself again in a namespace in which it is root.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { eventually } from '../e2e/processes.ts';

const IN_NAMESPACE = 'LENSCAP_IN_NAMESPACE';

export class SmallDisk {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Mounts one at this folder; it goes with the test. */
  static mount(t: Test, folder: string, bytes: number): SmallDisk {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const options = `size=${bytes},mode=700`;
    if (!succeeds('mount', '-t', 'tmpfs', '-o', options, 'tmpfs', folder)) runInNamespace();
    // Also while somebody is still in there, after a failure.
    t.teardown(() => succeeds('umount', '--lazy', folder));
    return new SmallDisk(folder);
  }

  /** As soon as nothing is open for writing there. */
  async setWritable(isWritable: boolean): Promise<void> {
    const mode = isWritable ? 'remount,rw' : 'remount,ro';
    await eventually(mode, () => succeeds('mount', '-o', mode, this.folder));
  }

  /** Takes all room there is; returns how to give it back. */
  fill(): () => void {
    const ballast = join(this.folder, 'ballast');
    writeFileSync(ballast, '');
    spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096'], { stdio: 'ignore' });
    return () => rmSync(ballast);
  }
}

function succeeds(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function runInNamespace(): never {
  if (process.env[IN_NAMESPACE]) throw new Error('no tmpfs can be mounted here');
  const again = ['-rm', process.execPath, ...process.argv.slice(1)];
  const env = { ...process.env, [IN_NAMESPACE]: '1' };
  process.exit(spawnSync('unshare', again, { stdio: 'inherit', env }).status ?? 1);
}
