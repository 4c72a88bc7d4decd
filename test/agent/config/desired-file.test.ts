// The saved state of the pushed configurations under damage, an error of the disk and a kill.
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type Desired, NOTHING_DESIRED } from '../../../agent/config/desired.ts';
import {
  decodeDesiredFile,
  encodeDesiredFile,
  readDesiredFile,
  writeDesiredFile,
} from '../../../agent/config/desired-file.ts';
import { DISK_FULL, everyFault, IO_ERROR, KILL } from '../spool/faults.ts';
import { boardOf, Run } from './boards.ts';

const before: Desired = {
  ...NOTHING_DESIRED,
  highest: 3,
  changedAtUs: 1_800_000_000_000_000,
  good: { version: 3, document: { video: { bitrateKbps: 700 } } },
};
const behind: Desired = {
  ...before,
  highest: 5,
  trial: {
    version: 5,
    document: { label: { name: 'Garden' } },
    isApplied: false,
    isUnderWay: true,
  },
  refusal: {
    state: 'rejected',
    version: 5,
    code: 'CONFIG_INVALID',
    detail: 'why',
    faults: [{ path: '/x', message: 'must not be' }],
  },
};

t.test('what was written is read back, by its owner alone', async (t) => {
  const dir = t.testdir();
  t.equal(readDesiredFile(dir), null);
  for (const desired of [before, behind]) {
    t.strictSame(decodeDesiredFile(encodeDesiredFile(desired)), desired);
    writeDesiredFile(dir, desired);
    t.strictSame(readDesiredFile(dir), desired);
  }
  t.equal(statSync(join(dir, 'configuration')).mode & 0o777, 0o600);
});

t.test("a file cut at any byte, or changed, leaves the board's own in force", async (t) => {
  const dir = t.testdir();
  const board = boardOf(dir);
  const whole = encodeDesiredFile(behind);
  const file = join(dir, 'configuration');
  for (let length = 0; length < whole.length; length += 1) {
    const cut = whole.subarray(0, length);
    t.throws(() => decodeDesiredFile(cut), { code: 'CONFIG_INVALID' }, `${length} bytes`);
  }
  for (const bytes of [
    whole.subarray(0, whole.length - 1),
    Buffer.alloc(0),
    Buffer.from(whole.toString().replace('"highest":5', '"highest":9')),
    encodeDesiredFile({ ...before, good: { version: 3, document: { source: 'mine' } } }),
  ]) {
    writeFileSync(file, bytes);
    const run = new Run(board);
    t.equal(run.pushed.settings.now(), board);
    t.match(run.said(), "the board's own is in force", 'and it is said');
    await run.end();
  }
});

t.test('a fault at any call leaves the old state or the new one', async (t) => {
  const dir = t.testdir({ behind: encodeDesiredFile(behind) });
  const state = join(dir, 'state');
  const program = {
    paths: [state, join(state, 'configuration'), join(state, 'configuration.new')],
    script: new URL('./write-desired.ts', import.meta.url).pathname,
    args: [state, join(dir, 'behind')],
    prepare: () => {
      rmSync(state, { recursive: true, force: true });
      mkdirSync(state);
      writeDesiredFile(state, before);
    },
  };
  for (const [fault, code] of [
    [KILL, undefined],
    [IO_ERROR, 'STORE_FAILED'],
    [DISK_FULL, 'STORE_FULL'],
  ] as const)
    await everyFault(t, fault, program, async (ended, place) => {
      const { highest } = readDesiredFile(state) ?? NOTHING_DESIRED;
      t.ok(highest === 3 || highest === 5, `${place}: version ${highest}`);
      if (code !== undefined && ended.code !== 0) t.equal(ended.out, `${code}\n`);
      writeDesiredFile(state, behind);
      t.same(readdirSync(state), ['configuration']);
    });
});
