// How a capture ends: stop, revoke, death of the parent. There is never a child left.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { begin, captureConfig, childPids, isAlive, isKilled, never } from './harness.ts';

const TEST = { type: 'test' } as const;

t.test(
  'a revoked permit kills the child at once and nothing is handed over any more',
  async (t) => {
    const { recording, pid } = begin(captureConfig(TEST));
    await recording.until('a segment', () => recording.segments.length > 0);
    await delay(500);
    const child = pid();
    const handed = recording.order.length;
    const ended = recording.revoke();
    t.ok(isKilled(child), 'SIGKILL was sent before revoke() returned');
    await ended;
    t.notOk(isAlive(child));
    await delay(100);
    t.equal(recording.order.length, handed);
  },
);

t.test('a permit revoked at any moment of the start leaves nothing behind', async (t) => {
  for (let waitMs = 0; waitMs <= 800; waitMs += 100) {
    const { recording } = begin(captureConfig(TEST));
    await delay(waitMs);
    await recording.revoke();
    t.strictSame(recording.order, []);
    t.strictSame(childPids(), []);
  }
});

t.test('a stop at any moment of the start ends quickly', async (t) => {
  for (let waitMs = 0; waitMs <= 900; waitMs += 150) {
    const { recording } = begin(captureConfig(TEST));
    await delay(waitMs);
    const beginMs = performance.now();
    await recording.stop();
    t.ok(performance.now() - beginMs < 1500);
    t.strictSame(recording.gaps, []);
    t.strictSame(childPids(), []);
  }
});

t.test('a child that hangs holds up neither stop nor revoke', async (t) => {
  for (const how of ['stop', 'revoke'] as const) {
    const { recording, pid } = begin(captureConfig(TEST));
    await recording.until('a segment', () => recording.segments.length > 0);
    process.kill(pid(), 'SIGSTOP');
    const beginMs = performance.now();
    await recording[how]();
    t.ok(performance.now() - beginMs < 1500, how);
    t.strictSame(childPids(), []);
  }
});

t.test('a child does not outlive its parent, not even when it hangs', async (t) => {
  for (const hangs of [false, true]) {
    const parent: ChildProcess = spawn(
      process.execPath,
      [new URL('parent.ts', import.meta.url).pathname],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    t.teardown(() => parent.kill('SIGKILL'));
    await once(parent.stdout ?? never('no output'), 'data');
    const [child = never('no child')] = childPids(parent.pid);
    if (hangs) process.kill(child, 'SIGSTOP');
    const beginMs = performance.now();
    parent.kill('SIGKILL');
    while (isAlive(child) && performance.now() - beginMs < 5000) await delay(5);
    t.notOk(isAlive(child), `gone after ${Math.round(performance.now() - beginMs)} ms`);
  }
});
