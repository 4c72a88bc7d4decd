// The saved state of the pushed configurations under damage, an error of the disk and a kill.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { type Desired, inForceOf, NOTHING_DESIRED } from '../../../agent/config/desired.ts';
import {
  decodeDesiredFile,
  encodeDesiredFile,
  readDesiredFile,
  writeDesiredFile,
} from '../../../agent/config/desired-file.ts';
import { Pushed } from '../../../agent/config/pushed.ts';
import { SimulatedClock } from '../consent/grants.ts';
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
    isExcused: null,
  },
  refusal: {
    state: 'rejected',
    version: 5,
    code: 'CONFIG_INVALID',
    detail: 'why',
    faults: [{ path: '/x', message: 'must not be' }],
  },
};

/** A file that is whole, and yet not of ours. */
const encodeBody = (body: string): Buffer => {
  const sum = createHash('sha256').update(body).digest('hex');
  return Buffer.from(`lenscap-configuration 1 ${sum}\n${body}`);
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
    encodeBody('{"highest":5'),
    encodeBody('{"highest":5}'),
  ]) {
    t.throws(() => decodeDesiredFile(bytes), { code: 'CONFIG_INVALID' });
    writeFileSync(file, bytes);
    const run = new Run(board);
    t.equal(run.pushed.settings.now(), board);
    t.match(run.said(), "the board's own is in force", 'and it is said');
    await run.end();
  }
});

/** The number in the last line that tells of this. */
const last = (out: string, of: RegExp): number =>
  Number(
    out
      .split('\n')
      .findLast((line) => of.test(line))
      ?.split(' ')[1] ?? 3,
  );

/** In kbit/s, by version. */
const BITRATES: Readonly<Record<number, number>> = { 3: 700, 4: 54, 7: 57 };

const FAULTS = [
  [KILL, ''],
  [IO_ERROR, 'STORE_FAILED\n'],
  ...(process.env.TORTURE === undefined ? [] : ([[DISK_FULL, 'STORE_FULL\n']] as const)),
] as const;

t.test('a document that fits no more takes nothing else of the state along', async (t) => {
  const dir = t.testdir();
  writeDesiredFile(dir, { ...before, good: { version: 3, document: { source: 'mine' } } });
  const run = new Run(boardOf(dir));
  t.match(run.pushed.state, { highest: 3, good: { version: 0 }, refusal: { state: 'rejected' } });
  t.notOk(run.said().includes('damaged'));
  await run.end();
});

t.test('cut off at any call, a board goes on with a healthy document', async (t) => {
  const state = join(t.testdir(), 'state');
  const board = boardOf(state);
  const start = () =>
    new Pushed({ board, clock: new SimulatedClock(), log: pino({ enabled: false }) });
  const program = {
    paths: [state, join(state, 'configuration'), join(state, 'configuration.new')],
    script: new URL('./live-through.ts', import.meta.url).pathname,
    args: [state],
    prepare: () => {
      rmSync(state, { recursive: true, force: true });
      mkdirSync(state);
      writeDesiredFile(state, before);
    },
  };
  const judge = (out: string, said: string) => {
    const wasUnderWay = readDesiredFile(state)?.trial?.isUnderWay === true;
    const next = start();
    const { highest, good, trial } = next.state;
    t.ok(highest >= last(out, /\d/), `${said}: no version goes backwards (${highest})`);
    t.ok([3, 4].includes(good.version) && good.version >= last(out, /^proven/), `${said}: proven`);
    // Only the one that nothing can be blamed on any more is tried on.
    t.ok(trial === null || (trial.version === 7 && trial.isExcused), `${said}: healthy`);
    const kbps = BITRATES[inForceOf(next.state).version];
    t.equal(next.settings.now().video.bitrateKbps, kbps, `${said}: in force`);
    t.equal(next.relapse !== null, wasUnderWay, `${said}: a relapse is told`);
    next.close();
    t.equal(start().relapse, null, `${said}: once`);
    t.ok(readdirSync(state).includes('configuration'));
  };
  for (const [fault, end] of FAULTS)
    await everyFault(t, fault, program, async ({ out, code }, place) => {
      const said = `${place}: ${out.trim().replaceAll('\n', ', ')}`;
      if (code === 0) t.ok(out.endsWith('rested 7\n'), said);
      else t.ok(out.endsWith(end), said);
      judge(out, said);
    });
});
