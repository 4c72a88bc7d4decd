// How a capture ends: stop, revoke, death of the parent. There is never a child left.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { begin, childPids, isAlive, isKilled } from './children.ts';
import { captureConfig, never, QUICK } from './harness.ts';

t.jobs = 4;

/** TORTURE=1: a start is broken off at many moments, not at a few. */
const IS_LONG = process.env.TORTURE === '1';
const [STEP_MS, START_MS] = IS_LONG ? [25, 900] : [150, 600];
const given = captureConfig({ type: 'test' }, QUICK);

t.test(
  'a revoked permit kills the child at once and nothing is handed over any more',
  async (t) => {
    const { recording, pid } = begin(given);
    await recording.until('a segment', () => recording.segments.length > 0);
    const handed = recording.order.length;
    const ended = recording.revoke();
    t.ok(isKilled(pid), 'SIGKILL was sent before revoke() returned');
    await ended;
    t.notOk(isAlive(pid));
    await delay(100);
    t.equal(recording.order.length, handed);
  },
);

t.test('a permit revoked at any moment of the start leaves nothing behind', async (t) => {
  for (let waitMs = 0; waitMs <= START_MS; waitMs += STEP_MS) {
    const { recording, pid } = begin(captureConfig({ type: 'test' }));
    await delay(waitMs);
    const handed = recording.order.length;
    await recording.revoke();
    t.equal(recording.order.length, handed);
    t.notOk(isAlive(pid));
  }
});

t.test('a stop at any moment of the start ends quickly', async (t) => {
  for (let waitMs = 0; waitMs <= START_MS; waitMs += STEP_MS) {
    const { recording, pid } = begin(given);
    await delay(waitMs);
    const beginMs = performance.now();
    await recording.stop();
    t.ok(performance.now() - beginMs < 1500);
    t.strictSame(recording.gaps, []);
    t.notOk(isAlive(pid));
  }
});

for (const how of ['stop', 'revoke'] as const)
  t.test(`a child that hangs does not hold up a ${how}`, async (t) => {
    const { recording, pid } = begin(given);
    await recording.until('a segment', () => recording.segments.length > 0);
    process.kill(pid, 'SIGSTOP');
    const beginMs = performance.now();
    await recording[how]();
    t.ok(performance.now() - beginMs < 1500);
    t.notOk(isAlive(pid));
  });

for (const state of ['works', 'hangs'])
  t.test(`a child that ${state} does not outlive its parent`, async (t) => {
    const parent: ChildProcess = spawn(
      process.execPath,
      [new URL('parent.ts', import.meta.url).pathname],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    t.teardown(() => parent.kill('SIGKILL'));
    await once(parent.stdout ?? never('no output'), 'data');
    const [child = never('no child')] = childPids(parent.pid);
    if (state === 'hangs') process.kill(child, 'SIGSTOP');
    const beginMs = performance.now();
    parent.kill('SIGKILL');
    while (isAlive(child) && performance.now() - beginMs < 5000) await delay(5);
    t.notOk(isAlive(child), `gone after ${Math.round(performance.now() - beginMs)} ms`);
  });
