// What the device notices of itself: a clock that jumps, a storage that fails, a power that was lost.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ClockWatch, jumpOf } from '../../../agent/events/clock-watch.ts';
import { Events, type Told } from '../../../agent/events/events.ts';
import { RunningNote } from '../../../agent/events/running-note.ts';
import { StorageWatch } from '../../../agent/events/storage-watch.ts';
import type { Event } from '../../../proto/event.ts';
import type { SpoolHealth } from '../../../proto/health.ts';
import { eventually } from '../../e2e/processes.ts';
import { grant, makeGate, SimulatedClock, silent } from '../consent/grants.ts';
import { BOOT } from '../spool/captured.ts';

const LATER_BOOT = '11234567-89ab-4cde-8f01-23456789abcd';

/** Runs something until the test is over, or it is asked to end. */
function running(t: Test, run: (signal: AbortSignal) => Promise<void>): () => Promise<void> {
  const end = new AbortController();
  const over = run(end.signal);
  const stop = async () => {
    end.abort();
    await over;
  };
  t.teardown(stop);
  return stop;
}

t.test('a jump is one of more than so much, of a clock that was right', async (t) => {
  const at = (aheadMs: number, isCredible = true) => ({ aheadUs: aheadMs * 1000, isCredible });
  const cases = [
    [at(0), at(1000), 0],
    [at(0), at(1001), 1001],
    [at(0), at(-5000), -5000],
    [at(0, false), at(1e12), 0],
    [at(0), at(-1e12, false), -1e12],
  ] as const;
  for (const [before, now, jumpedMs] of cases)
    t.equal(jumpOf(before, now, 1000), jumpedMs, `${now.aheadUs}`);
});

t.test('a clock that is set forth and back is told of twice', async (t) => {
  const clock = new SimulatedClock();
  const told: Told[] = [];
  const events = { moment: (_: string, more: Told = {}) => String(told.push(more)) };
  const time = { isWallCredible: () => true };
  const watch = new ClockWatch({ clock, time, events, jumpMs: 500, lookMs: 5 });
  const stop = running(t, (signal) => watch.run(signal));
  clock.wall += 90_000_000;
  await eventually('forth', () => told.length === 1);
  clock.advance(3600);
  clock.wall -= 90_000_000;
  await eventually('back', () => told.length === 2);
  await stop();
  t.match(told, [{ detail: /set forth by 90.0 s/ }, { detail: /set back by 90.0 s/ }]);
});

function storage(t: Test) {
  const { gate, clock } = makeGate(t.testdir());
  gate.accept(grant(1, ['device_info']));
  const told: Event[] = [];
  const listeners = new Set<() => void>();
  const fine: SpoolHealth = { state: 'on_flash', code: null, items: 0, bytes: 0 };
  const board = { health: fine, wear: 10 };
  const become = (health: Partial<SpoolHealth>) => {
    board.health = { ...board.health, ...health };
    for (const listener of listeners) listener();
  };
  const events = new Events({
    gate,
    // An event in the spool is a change of the spool.
    sink: {
      event: (event) => {
        told.push(event);
        become({});
      },
    },
    time: { wallUs: clock.wallUs, monoUs: clock.monoUs, isEstimated: () => false },
    bootId: BOOT,
    log: silent,
  });
  const spool = {
    health: () => board.health,
    onChange: (listener: () => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const watch = new StorageWatch({ spool, events, wearPercent: async () => board.wear });
  const start = () => running(t, (signal) => watch.run(signal));
  return { board, become, told, start };
}

t.test('a spool in memory only is told of once, and when it is over', async (t) => {
  const { become, told, start } = storage(t);
  start();
  become({ items: 5 });
  t.same(told, []);
  become({ state: 'memory_only', code: 'STORE_FAILED' });
  become({ items: 6 });
  t.match(told, [{ kind: 'storage_failing', lasts: true, code: 'STORE_FAILED' }]);
  become({ state: 'on_flash', code: null });
  t.match(told.slice(1), [{ lasts: false, eventId: told[0]?.eventId }]);
  become({ state: 'memory_only', code: 'STORE_FULL' });
  t.equal(told.length, 3, 'the next one is another');
});

t.test('one that lasts ends with the agent; used-up flash is told once', async (t) => {
  const { board, become, told, start } = storage(t);
  board.wear = 100;
  const stop = start();
  await eventually('told of the wear', () => told.length === 1);
  t.match(told[0], { kind: 'storage_failing', lasts: false });
  become({ state: 'memory_only', code: 'STORE_FAILED' });
  await stop();
  t.match(told.slice(1), [{ lasts: true }, { lasts: false }]);
});

t.test('power was lost where a run of an earlier boot did not end', async (t) => {
  const stateDir = t.testdir();
  const note = (bootId: string) => new RunningNote({ stateDir, bootId, log: silent });
  t.equal(note(BOOT).begin(), 'ended', 'the first run');
  t.equal(note(BOOT).begin(), 'crashed', 'the agent alone was gone');
  t.equal(note(LATER_BOOT).begin(), 'power_lost');
  note(LATER_BOOT).end();
  t.equal(note(BOOT).begin(), 'ended', 'in order');
});

t.test('a folder that cannot be written is no reason to stop', async (t) => {
  const stateDir = join(t.testdir(), 'file');
  writeFileSync(stateDir, '');
  const note = new RunningNote({ stateDir, bootId: BOOT, log: silent });
  t.equal(note.begin(), 'ended');
  note.end();
});
