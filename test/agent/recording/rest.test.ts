// The account of a run that crashed: what was not wanted up to the crash, and what nobody knows.
import t from 'tap';
import { Outage } from '../../../agent/capture/outage.ts';
import { accountOf, type PastRest } from '../../../agent/recording/rest.ts';
import type { Gap } from '../../../proto/gap.ts';
import { BOOT, hex } from '../spool/captured.ts';

const NOW = '11234567-89ab-4cde-8f01-23456789abcd';
const SECOND = 1e6;
/** Wall time of second 0 of the boot that crashed. */
const ZERO_US = 1_800_000_000 * SECOND;

const mark = (second: number, bootId = BOOT) => ({
  ...{ bootId, epoch: 2 },
  endMonoUs: second * SECOND,
  endAtUs: ZERO_US + second * SECOND,
});
const rest: PastRest = {
  ...{ reason: 'not_wanted', epoch: 3, bootId: BOOT },
  fromMonoUs: 100 * SECOND,
  untilMonoUs: 160 * SECOND,
  untilAtUs: ZERO_US + 160 * SECOND,
};
const said = (gaps: readonly Gap[]) =>
  gaps.map(
    ({ reason, startMonoUs, durationUs }) =>
      `${reason} ${startMonoUs / SECOND}+${durationUs / SECOND}`,
  );

t.test('up to the crash it is told what was known, and nothing twice', async (t) => {
  const cases = [
    [null, ['not_wanted 100+60']],
    [mark(100), ['not_wanted 100+60']],
    [mark(90), ['agent_stopped 90+10', 'not_wanted 100+60']],
    [mark(130), ['not_wanted 130+30']],
    [mark(5000, NOW), []],
    [mark(160), []],
    [mark(400), []],
  ] as const;
  for (const [before, want] of cases) {
    const account = accountOf(before, rest, BOOT);
    // Nothing of another boot comes before this one's.
    if (before?.bootId === NOW) t.same(said(accountOf(before, rest, NOW).gaps), want);
    else t.same(said(account.gaps), want, `pictures until ${(before?.endMonoUs ?? 0) / SECOND}`);
  }
  t.match(accountOf(mark(90), rest, NOW), {
    before: { bootId: BOOT, epoch: 3, endMonoUs: 160 * SECOND, endAtUs: rest.untilAtUs },
    gaps: [
      { epoch: 3, bootId: BOOT, startAtUs: ZERO_US + 90 * SECOND, code: null },
      { epoch: 3, bootId: BOOT, startAtUs: ZERO_US + 100 * SECOND },
    ],
  });
  t.same(accountOf(mark(90), null, NOW), { gaps: [], before: mark(90) });
});

t.test('told again it is the same gap', async (t) => {
  const ids = () => accountOf(mark(90), rest, NOW).gaps.map(({ gapId }) => gapId);
  t.same(ids(), ids());
  t.equal(new Set(ids()).size, 2);
  t.match(ids()[0], /^[0-9a-f]{32}$/);
  t.not(ids()[0], hex(''));
});

t.test('an outage tells what of it was not wanted, so far', async (t) => {
  const gaps: Gap[] = [];
  const time = { mono: 1000 };
  const clock = { wallUs: () => 9_000_000 + time.mono, monoUs: () => time.mono };
  const outage = new Outage({ clock, bootId: BOOT, onGap: (gap) => gaps.push(gap) });
  t.equal(outage.resting(), null);
  outage.due(3);
  outage.covered(1000, 500);
  outage.quiet(1500, 500);
  time.mono = 9000;
  const quiet = { reason: 'no_motion', epoch: 3, fromMonoUs: 1500, untilMonoUs: 2000 };
  t.same(outage.resting(), quiet, 'up to the pictures that were seen');
  outage.absent({ epoch: 3, reason: 'not_wanted', code: null }, 'run');
  t.same(outage.resting(), {
    ...{ reason: 'not_wanted', epoch: 3, fromMonoUs: 2000, untilMonoUs: 9000 },
  });
  outage.begin('source_lost', null);
  t.equal(outage.resting(), null, 'what goes wrong is no rest');
  t.same(said(gaps), ['no_motion 0.0015+0.0005', 'not_wanted 0.002+0.007']);
});
