// Faults at any call while records are written, removed and erased: what had been said to be there is
// read, what was gone stays gone, and an error is told and passes.
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { eraseSpool } from '../../../agent/spool/flash.ts';
import { FILE_TIMEOUT_MS } from '../../e2e/processes.ts';
import {
  DISK_FULL,
  type Ended,
  everyFault,
  type Fault,
  IO_ERROR,
  KILL,
  type Program,
} from './faults.ts';
import { contentsOf, faultsOf, openAt, record, whole } from './records.ts';
import { after, STEPS } from './steps.ts';

t.setTimeout(FILE_TIMEOUT_MS);

const script = (name: string) => new URL(`./${name}`, import.meta.url).pathname;
const EACH_FAILURE = { 'error=EIO': 'STORE_FAILED', 'error=ENOSPC': 'STORE_FULL' };

function filesOf(folder: string, numbers: readonly number[]): string[] {
  const names = numbers.flatMap((number) =>
    ['stream', 'segment', 'gap', 'event'].map(
      (kind) => `${String(number).padStart(20, '0')}.${kind}`,
    ),
  );
  return [
    folder,
    ...['key', ...names].flatMap((name) => [name, `${name}.new`].map((one) => join(folder, one))),
  ];
}

function keeping(t: Test): Program & { readonly folder: string } {
  const folder = join(t.testdir(), 'spool');
  return {
    folder,
    paths: filesOf(folder, [1, 2, 3, 4, 5, 6, 7, 8]),
    script: script('keep-records.ts'),
    args: [folder],
    prepare: () => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
    },
  };
}

const doneIn = ({ out }: Ended) => out.split('\n').filter((line) => line === 'done').length;
const failuresIn = ({ out }: Ended) => [...out.matchAll(/failed (\w+)/g)].map(([, code]) => code);

t.test('after a kill at any call each record is as before or after the step', async (t) => {
  const program = keeping(t);
  let kills = 0;
  await everyFault(t, KILL, program, async (ended, place) => {
    const done = doneIn(ended);
    if (ended.code !== 0) kills += 1;
    const opened = openAt(program.folder);
    t.same(faultsOf(opened), [], place);
    const there = await contentsOf(opened);
    const [before, behind] = [after(done).map(whole), after(done + 1).map(whole)];
    const strangers = there.filter((one) => !before.includes(one) && !behind.includes(one));
    t.same(strangers, [], `${place}: nothing else, after ${done} steps`);
    const kept = before.filter((one) => behind.includes(one));
    t.same(
      kept.filter((one) => !there.includes(one)),
      [],
      'what was there is there',
    );
    t.same(
      readdirSync(program.folder).filter((name) => name.endsWith('.new')),
      [],
    );
    t.same(await contentsOf(openAt(program.folder)), there, 'the next start finds the same');
  });
  t.ok(kills > 0, `${kills} kills`);
});

async function failing(t: Test, fault: Fault & { readonly effect: keyof typeof EACH_FAILURE }) {
  const program = keeping(t);
  let failures = 0;
  await everyFault(t, fault, program, async (ended, place) => {
    t.match(ended, { code: 0 }, place);
    t.equal(doneIn(ended), STEPS.length, 'it goes on');
    const codes = failuresIn(ended);
    failures += codes.length;
    // An erasure that could not be done has failed, whatever the disk said.
    const expected = new Set(['STORE_FAILED', EACH_FAILURE[fault.effect]]);
    t.ok(
      codes.every((code) => expected.has(code ?? '')),
      `${place}: ${codes.join()}`,
    );
    const opened = openAt(program.folder);
    t.same(faultsOf(opened), []);
    t.same(await contentsOf(opened), after(STEPS.length).map(whole), 'all is as it is to be');
    t.same(
      readdirSync(program.folder).filter((name) => name.endsWith('.new')),
      [],
    );
  });
  t.comment(`${failures} failures were told`);
}

t.test('an error of the disk at any call is told, and passes', (t) =>
  failing(t, { ...IO_ERROR, effect: 'error=EIO' }),
);

t.test('a full disk at any call is told, and passes', (t) =>
  failing(t, { ...DISK_FULL, effect: 'error=ENOSPC' }),
);

t.test('a kill at any call of the end of an ownership: all is readable, or nothing', async (t) => {
  const stateDir = join(t.testdir(), 'state');
  const folder = join(stateDir, 'spool');
  const program: Program = {
    paths: [stateDir, ...filesOf(folder, [1, 2])],
    script: script('erase-spool.ts'),
    args: [stateDir],
    prepare: async () => {
      rmSync(stateDir, { recursive: true, force: true });
      mkdirSync(stateDir);
      const { flash } = openAt(folder);
      for (const one of [record(1), record(2)]) await flash.write(one);
    },
  };
  await everyFault(
    t,
    { ...KILL, calls: ['fsync', 'unlink', 'rmdir'] },
    program,
    async (_, place) => {
      const there = existsSync(folder) && existsSync(join(folder, 'key'));
      if (there) t.equal((await contentsOf(openAt(folder))).length, 2, `${place}: before it began`);
      eraseSpool(stateDir);
      t.same(readdirSync(stateDir), [], place);
    },
  );
  await everyFault(t, { ...IO_ERROR, calls: ['unlink'] }, program, async ({ code, out }, place) => {
    t.match({ code, out }, { code: 1, out: 'failed STORE_FAILED\n' }, place);
    eraseSpool(stateDir);
    t.same(readdirSync(stateDir), []);
  });
});
