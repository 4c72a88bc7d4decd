// The tables of a rollout and its plan: every state with every event, stages, limits.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseLabelChange, parseSelector } from '../../../broker/fleet/labels.ts';
import {
  type Limits,
  nextStep,
  type Planned,
  parseStages,
  reachOf,
} from '../../../broker/fleet/rollout-plan.ts';
import {
  DEVICE_EVENTS,
  DEVICE_STATES,
  DEVICE_TABLE,
  type DeviceState,
  eventOf,
  ROLLOUT_EVENTS,
  ROLLOUT_STATES,
  ROLLOUT_TABLE,
} from '../../../broker/fleet/rollout-states.ts';

t.test('a device in a rollout: every state with every event, as the README says', async (t) => {
  const path = new URL('../../../broker/fleet/README.md', import.meta.url);
  const lines = readFileSync(path, 'utf8').split('\n');
  const start = lines.findIndex((line) => line.startsWith('| device |'));
  const table = lines.slice(start, lines.indexOf('', start));
  const [head = [], , ...rows] = table.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  t.same(head.slice(1), DEVICE_EVENTS);
  const told = rows.flatMap(([states = '', ...next]) =>
    states.split(', ').map((state) => [state, ...next]),
  );
  const moving = DEVICE_STATES.filter((state) => Object.keys(DEVICE_TABLE[state]).length > 0);
  t.same(
    told,
    moving.map((state) => [
      state,
      ...DEVICE_EVENTS.map((event) => DEVICE_TABLE[state][event] ?? ''),
    ]),
  );
  const final = ['unchanged', 'refused', 'rejected', 'reverted', 'superseded'];
  t.same(
    DEVICE_STATES.filter((state) => !moving.includes(state)),
    final,
  );
});

t.test('a rollout: every state with every event', async (t) => {
  const found = ROLLOUT_STATES.flatMap((state) =>
    ROLLOUT_EVENTS.map((event) => `${state} ${event} ${ROLLOUT_TABLE[state][event] ?? '-'}`),
  );
  t.same(found, [
    'running stop stopped',
    'running resume -',
    'running complete done',
    'stopped stop -',
    'stopped resume running',
    'stopped complete -',
    'done stop -',
    'done resume -',
    'done complete -',
  ]);
});

t.test('an answer about another version means what it says of this one', async (t) => {
  const about = (version: number, state: 'accepted' | 'applied' | 'rejected', inForce: number) =>
    eventOf(5, { version, state, inForce });
  t.equal(about(4, 'applied', 4), undefined, 'an earlier one says nothing');
  t.equal(about(5, 'rejected', 4), 'rejected');
  t.equal(about(6, 'accepted', 5), undefined, 'the later one is still being tried');
  t.equal(about(6, 'applied', 6), 'applied');
  t.equal(about(6, 'rejected', 5), 'applied');
  t.equal(about(6, 'rejected', 4), 'superseded', 'the owner changed it before it was applied');
});

t.test('stages are counts or shares that grow', async (t) => {
  t.same(reachOf(parseStages('1,10%,100%'), 250), [1, 25, 250]);
  t.same(reachOf(parseStages('1,10%,100%'), 3), [1, 1, 3]);
  t.same(reachOf(parseStages('50, 100'), 20), [20, 20], 'no more than there are');
  for (const typed of ['', '0', '101%', '10%%', '-1', '1.5', 'all', '1,,2', '1,'.repeat(30)])
    t.throws(() => parseStages(typed), { code: 'REQUEST_INVALID' }, typed);
  t.throws(() => reachOf(parseStages('50%,1'), 10), { code: 'REQUEST_INVALID' });
});

t.test('labels are words; a selector wants all of them', async (t) => {
  t.same(parseLabelChange('site=north'), { key: 'site', value: 'north' });
  t.same(parseLabelChange('site-'), { key: 'site', value: null });
  t.same(parseSelector(['site=north', 'model=B-2', 'site=north']), { site: 'north', model: 'B-2' });
  for (const typed of ['site', '=north', 'site=', 'Site=a', 'site=a b', 'a=b=c', '-', 'a/b=c'])
    t.throws(() => parseLabelChange(typed), { code: 'REQUEST_INVALID' }, typed);
  t.throws(() => parseSelector(['site=a', 'site=b']), { code: 'REQUEST_INVALID' });
  t.throws(() => parseSelector(['site-']), { code: 'REQUEST_INVALID' });
});

const LIMITS: Limits = { waitUs: 100, settleUs: 10, stopPercent: 20 };

/** Devices as `stage state age`. */
function devices(...lines: [stage: number, state: DeviceState, ageUs?: number][]): Planned[] {
  return lines.map(([stage, state, ageUs = 0], at) => ({
    ...{ deviceId: String(at), stage, state, stateAtUs: 1000 - ageUs },
  }));
}

t.test('the next stage begins when the one before has held', async (t) => {
  const step = (...lines: Parameters<typeof devices>) => nextStep(devices(...lines), LIMITS, 1000);
  t.same(step([1, 'pending'], [2, 'pending']), { kind: 'send', deviceIds: ['0'] });
  t.same(step([1, 'sent', 99], [2, 'pending']), { kind: 'wait' });
  t.same(step([1, 'accepted', 99], [2, 'pending']), { kind: 'wait' });
  t.same(step([1, 'sent', 100], [2, 'pending']), { kind: 'late', deviceIds: ['0'] });
  t.same(step([1, 'applied', 9], [2, 'pending']), { kind: 'wait' }, 'it has not held yet');
  t.same(step([1, 'applied', 10], [2, 'pending']), { kind: 'send', deviceIds: ['1'] });
  for (const state of ['silent', 'unknown', 'unchanged', 'refused', 'superseded'] as const)
    t.same(step([1, state], [2, 'pending']), { kind: 'send', deviceIds: ['1'] }, state);
  t.same(
    step([1, 'applied', 9], [1, 'pending'], [2, 'pending']),
    { kind: 'send', deviceIds: ['1'] },
    'what was begun before a restart is sent to its end',
  );
  t.same(step([1, 'applied', 10], [2, 'silent']), { kind: 'done' });
});

t.test('it stops when more than the share of those reached fail', async (t) => {
  const step = (...lines: Parameters<typeof devices>) => nextStep(devices(...lines), LIMITS, 1000);
  const four: Parameters<typeof devices> = [
    [1, 'applied', 50],
    [1, 'applied', 50],
    [1, 'applied', 50],
    [1, 'silent'],
  ];
  t.same(step(...four, [1, 'reverted']), { kind: 'done' }, 'just the share');
  t.match(step(...four, [1, 'reverted'], [1, 'rejected']), { kind: 'stop', why: /^2 of 6 / });
  t.match(
    step(...four, [1, 'reverted'], [2, 'pending'], [2, 'pending']),
    { kind: 'send' },
    'those of later stages do not count',
  );
  t.match(
    step([1, 'reverted'], ...Array.from({ length: 9 }, (): [1, 'unknown'] => [1, 'unknown'])),
    { kind: 'stop', why: /^1 of 1 / },
    'of what is not known nothing follows',
  );
});
