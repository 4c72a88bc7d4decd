// Every second is accounted for once, whatever is known of it and however it overlaps.
import t from 'tap';
import { notConsented, recorded } from '../../../broker/portal/known-times.ts';
import {
  inOrder,
  KINDS,
  type Known,
  kindOfGap,
  type Stretch,
  TimeAccount,
  totalsOf,
} from '../../../broker/portal/time-account.ts';
import type { PieceTime } from '../../../broker/store/time-rows.ts';
import { GAP_REASONS } from '../../../proto/gap.ts';
import { seeded } from '../../seeded.ts';

const REASONS = [null, 'spool_full', 'source_lost', 'retention', 'unheard'];

/** What is to come out for one moment, said by hand. */
function expected(known: readonly Known[], us: number): string {
  const here = known.filter(({ fromUs, toUs }) => fromUs <= us && us < toUs);
  const strong = here.filter(({ reason }) => reason !== 'retention' && reason !== 'unheard');
  const counted = strong.length > 0 ? strong : here;
  for (const kind of KINDS) {
    const ofKind = counted.filter((one) => one.kind === kind);
    if (ofKind.length === 0) continue;
    const reasons = new Set(ofKind.flatMap(({ reason }) => reason ?? []));
    return `${kind} ${[...reasons].sort()}`;
  }
  return 'not_running ';
}

/** Why the stretches are not those of `known`; undefined when they are. */
function fault(
  known: readonly Known[],
  span: { fromUs: number; toUs: number },
  stretches: readonly Stretch[],
): string | undefined {
  const said: string[] = [];
  for (const [at, { kind, reasons, fromUs, toUs }] of stretches.entries()) {
    const before = stretches[at - 1];
    if (fromUs !== (before?.toUs ?? span.fromUs)) return 'a hole or an overlap';
    if (before?.kind === kind && `${before.reasons}` === `${reasons}`) return 'not joined';
    for (let us = fromUs; us < toUs; us++) said.push(`${kind} ${reasons}`);
  }
  const length = span.toUs - span.fromUs;
  const wanted = Array.from({ length }, (_, at) => expected(known, span.fromUs + at));
  if (`${said}` !== `${wanted}`) return `${said} is not ${wanted}`;
  const sum = Object.values(totalsOf(stretches)).reduce((one, other) => one + other, 0);
  return sum === length ? undefined : `the sum is ${sum}`;
}

t.test('any overlap is divided by priority, without a hole and without an overlap', async (t) => {
  const random = seeded(t);
  const pick = (max: number): number => Math.floor(random() * max);
  const some = (): Known => {
    const fromUs = pick(100);
    const reason = REASONS[pick(REASONS.length)] ?? null;
    return { fromUs, toUs: fromUs + pick(30), kind: KINDS[pick(KINDS.length)] ?? 'lost', reason };
  };
  for (let round = 0; round < 400; round++) {
    const span = { fromUs: 10 + pick(20), toUs: 40 + pick(40) };
    const known = Array.from({ length: pick(25) }, some).sort(
      (one, other) => one.fromUs - other.fromUs,
    );
    const account = new TimeAccount(span);
    const sources = [known.filter((_, at) => at % 2 === 0), known.filter((_, at) => at % 2 === 1)];
    for await (const one of inOrder(sources)) account.add(one);
    const found = fault(known, span, account.finish());
    if (found !== undefined) t.fail(`round ${round}: ${found}`);
  }
  t.pass('400 accounts are exact');
});

t.test('what was captured and is gone is lost, what was not captured is not', async (t) => {
  const lost = GAP_REASONS.filter((reason) => kindOfGap(reason) === 'lost');
  t.same(lost, ['spool_full', 'refused', 'spool_damaged', 'spool_expired', 'store_lost']);
  const idle = GAP_REASONS.filter((reason) => kindOfGap(reason) === 'idle');
  t.same(idle, ['no_motion', 'not_wanted'], 'nor was it wanted');
  t.equal(kindOfGap('of a later version'), 'not_running');
});

type Row = readonly [stream: string, sequence: number, startUs: number, durationUs: number];

async function* piecesOf(rows: readonly Row[]): AsyncGenerator<PieceTime, void> {
  for (const [stream_id, sequence, start_at_us, duration_us] of rows)
    yield { stream_id, sequence, start_at_us, duration_us };
}

async function runsOf(...rows: readonly Row[]): Promise<[number, number][]> {
  const runs: [number, number][] = [];
  for await (const { fromUs, toUs } of recorded(piecesOf(rows))) runs.push([fromUs, toUs]);
  return runs;
}

t.test('rounding leaves no time between pieces that follow on each other', async (t) => {
  t.same(await runsOf(['a', 0, 0, 4_000_000], ['a', 1, 4_000_033, 1]), [[0, 4_000_034]]);
  t.same(await runsOf(['a', 0, 0, 5], ['a', 2, 6, 5]).then(({ length }) => length), 2, 'missing');
  t.same(await runsOf(['a', 0, 0, 5], ['b', 1, 6, 5]).then(({ length }) => length), 2, 'others');
  const leap = await runsOf(['a', 0, 0, 5], ['a', 1, 1_000_006, 5]);
  t.equal(leap.length, 2, 'more than a second');
  t.same(await runsOf(['a', 0, 0, 90], ['b', 0, 3, 4], ['a', 1, 90, 1]), [[0, 91]], 'overlaps');
});

t.test('consent to video is read off the records, in the order of their epochs', async (t) => {
  const record = (second: number, ...scopes: ('video' | 'audio')[]) => ({
    schema: 'lenscap-consent-1' as const,
    recordId: '',
    deviceId: '',
    accountId: '',
    epoch: 1,
    event: 'GRANTED' as const,
    scopes,
    policy: null,
    actor: '',
    how: '',
    at: new Date(second * 1000).toISOString(),
  });
  const log = [record(10), record(20, 'video'), record(30, 'video', 'audio'), record(40, 'audio')];
  const times = notConsented(log).map(({ fromUs, toUs }) => [fromUs, toUs]);
  t.same(times, [
    [0, 10e6],
    [10e6, 20e6],
    [40e6, Number.MAX_SAFE_INTEGER],
  ]);
});
