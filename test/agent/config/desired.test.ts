// What becomes of a pushed version, as a table of what happens in every state; and when pictures prove
// one.
import t from 'tap';
import { CameraCondition, conditionOf } from '../../../agent/config/condition.ts';
import {
  after,
  type Desired,
  type DesiredEvent,
  inForceOf,
  NOTHING_DESIRED,
  type Refusal,
  standingOf,
  type Trial,
  type Version,
} from '../../../agent/config/desired.ts';
import { look, type Proof, type Sight } from '../../../agent/config/proof.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { boardOf, nowUs, TestPictures } from './boards.ts';

const NOW = 77;
const version = (number: number): Version => ({
  version: number,
  document: { video: { bitrateKbps: 100 + number } },
});
const trial = (number: number, over: Partial<Trial> = {}): Trial => ({
  ...version(number),
  isApplied: false,
  isUnderWay: true,
  isExcused: null,
  ...over,
});
const FAULTS = [{ path: '/video/width', message: 'must be <= 7680' }];
const rejected = (number: number): Refusal => ({
  state: 'rejected',
  version: number,
  code: 'CONFIG_INVALID',
  detail: '',
  faults: FAULTS,
});
const reverted = (number: number, detail = 'no picture came'): Refusal => ({
  state: 'reverted',
  version: number,
  code: 'CONFIG_UNHEALTHY',
  detail,
  faults: [],
});
const CRASH = 'the agent crashed or lost power before it was proven';

const base: Desired = { ...NOTHING_DESIRED, highest: 5, changedAtUs: 1, good: version(3) };
const STATES = {
  none: NOTHING_DESIRED,
  proven: { ...base, good: version(5) },
  trying: { ...base, trial: trial(5) },
  applied: { ...base, trial: trial(5, { isApplied: true }) },
  resting: { ...base, trial: trial(5, { isApplied: true, isUnderWay: false }) },
  answering: { ...base, trial: trial(5, { isExcused: false }) },
  excused: { ...base, trial: trial(5, { isUnderWay: false, isExcused: true }) },
  rejected: { ...base, refusal: rejected(5) },
  reverted: { ...base, refusal: reverted(5) },
  'trying, newer rejected': { ...base, trial: trial(4), refusal: rejected(5) },
} satisfies Record<string, Desired>;
type Name = keyof typeof STATES;

const received = (number: number, faults: typeof FAULTS): DesiredEvent => ({
  kind: 'received',
  ...version(number),
  code: 'CONFIG_INVALID',
  faults,
});
const EVENTS = {
  'newer, valid': received(6, []),
  'newer, invalid': received(6, FAULTS),
  same: received(5, []),
  older: received(2, []),
  'found flowing': { kind: 'found', isExcused: false },
  'found broken': { kind: 'found', isExcused: true },
  applied: { kind: 'applied' },
  proven: { kind: 'proven' },
  failed: { kind: 'failed', code: 'CONFIG_UNHEALTHY', detail: 'no picture came' },
  rested: { kind: 'rested' },
  resumed: { kind: 'resumed' },
  started: { kind: 'started' },
} satisfies Record<string, DesiredEvent>;
type EventName = keyof typeof EVENTS;

/** What changes, by state and event; what is absent changes nothing. */
const CHANGES: Record<Name, Partial<Record<EventName, Partial<Desired>>>> = {
  none: {},
  proven: {},
  trying: {
    'found flowing': { trial: trial(5, { isExcused: false }) },
    'found broken': { trial: trial(5, { isExcused: true }) },
    applied: { trial: trial(5, { isApplied: true }), changedAtUs: NOW },
    proven: { good: version(5), trial: null, changedAtUs: NOW },
    failed: { trial: null, refusal: reverted(5), changedAtUs: NOW },
    rested: { trial: trial(5, { isUnderWay: false }) },
    started: { trial: null, refusal: reverted(5, CRASH), changedAtUs: NOW },
  },
  applied: {
    'found flowing': { trial: trial(5, { isApplied: true, isExcused: false }) },
    'found broken': { trial: trial(5, { isApplied: true, isExcused: true }) },
    proven: { good: version(5), trial: null },
    failed: { trial: null, refusal: reverted(5), changedAtUs: NOW },
    rested: { trial: trial(5, { isApplied: true, isUnderWay: false }) },
    started: { trial: null, refusal: reverted(5, CRASH), changedAtUs: NOW },
  },
  resting: {
    'found flowing': { trial: trial(5, { isApplied: true, isUnderWay: false, isExcused: false }) },
    'found broken': { trial: trial(5, { isApplied: true, isUnderWay: false, isExcused: true }) },
    proven: { good: version(5), trial: null },
    failed: { trial: null, refusal: reverted(5), changedAtUs: NOW },
    resumed: { trial: trial(5, { isApplied: true }) },
    started: { trial: trial(5, { isExcused: false }) },
  },
  answering: {
    'found broken': { trial: trial(5, { isExcused: true }) },
    applied: { trial: trial(5, { isApplied: true, isExcused: false }), changedAtUs: NOW },
    proven: { good: version(5), trial: null, changedAtUs: NOW },
    failed: { trial: null, refusal: reverted(5), changedAtUs: NOW },
    rested: { trial: trial(5, { isUnderWay: false, isExcused: false }) },
    started: { trial: null, refusal: reverted(5, CRASH), changedAtUs: NOW },
  },
  excused: {
    'found flowing': { trial: trial(5, { isUnderWay: false, isExcused: false }) },
    applied: {
      trial: trial(5, { isApplied: true, isUnderWay: false, isExcused: true }),
      changedAtUs: NOW,
    },
    proven: { good: version(5), trial: null, changedAtUs: NOW },
    failed: { trial: null, refusal: reverted(5), changedAtUs: NOW },
    resumed: { trial: trial(5, { isExcused: true }) },
    started: { trial: trial(5, { isExcused: true }) },
  },
  rejected: {},
  reverted: {},
  'trying, newer rejected': {
    'found flowing': { trial: trial(4, { isExcused: false }) },
    'found broken': { trial: trial(4, { isExcused: true }) },
    applied: { trial: trial(4, { isApplied: true }) },
    proven: { good: version(4), trial: null },
    failed: { trial: null },
    rested: { trial: trial(4, { isUnderWay: false }) },
    started: { trial: null },
  },
};
for (const changes of Object.values(CHANGES)) {
  changes['newer, valid'] = { highest: 6, changedAtUs: NOW, trial: trial(6), refusal: null };
  changes['newer, invalid'] = { highest: 6, changedAtUs: NOW, refusal: rejected(6) };
}
/** The pictures may be gone by its doing, for which the next one must not be excused. */
CHANGES.answering['newer, valid'] = {
  ...CHANGES.answering['newer, valid'],
  trial: trial(6, { isExcused: false }),
};
/** Where nothing was ever seen, any version is newer. */
for (const [name, number] of [
  ['same', 5],
  ['older', 2],
] as const)
  CHANGES.none[name] = { highest: number, changedAtUs: NOW, trial: trial(number) };

t.test('every event in every state', async (t) => {
  for (const [name, state] of Object.entries<Desired>(STATES))
    for (const [eventName, event] of Object.entries<DesiredEvent>(EVENTS)) {
      const row = Object.entries(CHANGES).find(([known]) => known === name)?.[1];
      const change = Object.entries(row ?? {}).find(([known]) => known === eventName)?.[1];
      const got = after(state, event, NOW);
      if (change === undefined) t.equal(got, state, `${name}, ${eventName}: nothing`);
      else t.strictSame(got, { ...state, ...change }, `${name}, ${eventName}`);
    }
});

t.test('a board file that does not go with the proven version any more drops it', async (t) => {
  const unfit: DesiredEvent = { kind: 'unfit', faults: FAULTS };
  t.equal(after(NOTHING_DESIRED, unfit, NOW), NOTHING_DESIRED, 'there is nothing to drop');
  const dropped = after(STATES.proven, unfit, NOW);
  t.match(dropped, { good: { version: 0, document: {} }, highest: 5, changedAtUs: NOW });
  t.match(standingOf(dropped), { state: 'rejected', version: 5, faults: FAULTS });
  t.match(standingOf(after(STATES.reverted, unfit, NOW)), { state: 'reverted', version: 5 });
});

t.test(
  'what is told is of the newest version, and what is in force of the last good one',
  async (t) => {
    const told: Record<Name, [string | undefined, number]> = {
      none: [undefined, 0],
      proven: ['applied', 5],
      trying: ['accepted', 5],
      applied: ['applied', 5],
      resting: ['applied', 5],
      answering: ['accepted', 5],
      excused: ['accepted', 5],
      rejected: ['rejected', 3],
      reverted: ['reverted', 3],
      'trying, newer rejected': ['rejected', 4],
    };
    for (const [name, [state, inForce]] of Object.entries(told)) {
      const desired = Object.entries<Desired>(STATES).find(([known]) => known === name)?.[1];
      if (desired === undefined) throw new Error(name);
      const standing = standingOf(desired);
      t.equal(standing?.state, state, name);
      t.equal(standing?.version, state === undefined ? undefined : 5, name);
      t.equal(inForceOf(desired).version, inForce, name);
    }
  },
);

t.test('pictures prove a version when they flow for long enough', async (t) => {
  const limits = { provenAfterUs: 1000, startUs: 500, silenceUs: 300 };
  const sight = (nowUs: number, lastPictureUs: number | null, isWanted = true): Sight => ({
    nowUs,
    isWanted,
    lastPictureUs,
  });
  const table: readonly (readonly [Proof, Sight, string, Proof])[] = [
    [null, sight(100, 90), 'waiting', { sinceUs: 100, firstUs: null }],
    [{ sinceUs: 100, firstUs: null }, sight(150, 90), 'waiting', { sinceUs: 100, firstUs: null }],
    [{ sinceUs: 100, firstUs: null }, sight(160, 150), 'waiting', { sinceUs: 100, firstUs: 150 }],
    [{ sinceUs: 100, firstUs: null }, sight(601, null), 'failed', { sinceUs: 100, firstUs: null }],
    [{ sinceUs: 100, firstUs: 150 }, sight(1151, 1149), 'waiting', { sinceUs: 100, firstUs: 150 }],
    [{ sinceUs: 100, firstUs: 150 }, sight(1151, 1150), 'proven', { sinceUs: 100, firstUs: 150 }],
    [{ sinceUs: 100, firstUs: 150 }, sight(501, 200), 'failed', { sinceUs: 100, firstUs: 150 }],
    [{ sinceUs: 100, firstUs: 150 }, sight(501, 200, false), 'resting', null],
    [null, sight(100, null, false), 'resting', null],
  ];
  for (const [proof, seen, kind, next] of table)
    t.match(look(proof, seen, limits), { kind, proof: next }, `${kind} at ${seen.nowUs}`);
});

t.test(
  'a camera is broken from a failure to the next picture, and unknown in between',
  async (t) => {
    const table: readonly (readonly [number | null, number | null, string])[] = [
      [null, null, 'unknown'],
      [null, 900, 'flowing'],
      [null, 100, 'unknown'],
      [500, null, 'broken'],
      [500, 400, 'broken'],
      [500, 900, 'flowing'],
      [40, null, 'unknown'],
      [null, 45, 'unknown'],
    ];
    for (const [failedUs, lastPictureUs, condition] of table) {
      const past = { nowUs: 1000, fromUs: 50, failedUs, lastPictureUs };
      t.equal(conditionOf(past, 300), condition, JSON.stringify(past));
    }
    const pictures = new TestPictures();
    const camera = new CameraCondition(pictures, { monoUs: nowUs });
    const board = boardOf('/nowhere');
    t.equal(camera.now(board), 'flowing');
    pictures.flow = false;
    const stop = camera.follow();
    pictures.fail(new LenscapError('CAPTURE_FAILED', 'under a version'));
    t.equal(camera.now(board), 'broken');
    await camera.restart();
    t.equal(camera.now(board), 'unknown', 'what failed before says nothing of it');
    stop();
    pictures.fail(new LenscapError('CAPTURE_FAILED', 'unheard'));
    t.equal(camera.now(board), 'unknown');
  },
);
