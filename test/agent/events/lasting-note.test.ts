// What lasts when an agent crashes: noted as far as consent covers it, and ended by the next run.
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { LastingNote } from '../../../agent/events/lasting-note.ts';
import type { Rest } from '../../../agent/recording/rest.ts';
import type { Event } from '../../../proto/event.ts';
import { eventually } from '../../e2e/processes.ts';
import { SimulatedClock, silent } from '../consent/grants.ts';
import { BOOT, event, hex } from '../spool/captured.ts';

const over = (name: string, at: number) => event(name, at, { lasts: false, durationUs: 1 });

function start(t: Test, path = join(t.testdir(), 'lasting')) {
  const clock = new SimulatedClock();
  const told: Event[] = [];
  const now: { rest: Rest | null } = { rest: null };
  const open = () =>
    new LastingNote({
      path,
      bootId: BOOT,
      clock,
      sink: { event: (one) => void told.push(one) },
      resting: () => now.rest,
      onWritten: () => undefined,
      log: silent,
      lookMs: 2,
    });
  /** Looks at what lasts, again and again, until the test is over. */
  const run = (note: LastingNote) => {
    const end = new AbortController();
    const ended = note.run(end.signal);
    t.teardown(async () => {
      end.abort();
      await ended;
    });
  };
  const restOf = (fromMonoUs: number): Rest => ({
    ...{ reason: 'no_motion', epoch: 3 },
    ...{ fromMonoUs, untilMonoUs: clock.mono },
  });
  const left = () => open().left();
  return { path, clock, told, now, note: open(), left, run, restOf };
}

t.test('what has begun and not ended is left open, and passed on all the same', async (t) => {
  const { note, told, left, clock } = start(t);
  t.equal(left(), null, 'without a note nothing is');
  note.event(event('a', 1, { kind: 'covered' }));
  note.event(event('b', 2, { peak: 7, code: 'STORE_FULL' }));
  note.event(event('m', 3, { lasts: false, durationUs: 0 }));
  note.event(over('a', 1));
  t.equal(told.length, 4);
  t.match(left(), { untilMonoUs: clock.mono, rest: null, events: { length: 1 } });
  const { detail: _, ...begun } = event('b', 2, { peak: 7, code: 'STORE_FULL' });
  t.match(left()?.events, [begun]);
  note.event(over('b', 2));
  t.same(left()?.events, []);
});

t.test('it is written again when its age has doubled, and every four minutes then', async (t) => {
  const { note, clock, now, left, run, restOf } = start(t);
  now.rest = restOf(clock.mono - 5e6);
  run(note);
  await eventually('the stretch is noted', () => left()?.rest != null);
  const noted: number[] = [];
  let last = left()?.untilMonoUs ?? 0;
  const from = last;
  for (let second = 0; second < 1200; second += 20) {
    clock.advance(20);
    now.rest = restOf(from - 5e6);
    // So that a look falls between two steps of the clock.
    await new Promise((resolve) => setTimeout(resolve, 5));
    const until = left()?.untilMonoUs ?? 0;
    if (until !== last) noted.push((until - from) / 1e6);
    last = until;
  }
  const steps = noted.map((at, nth) => at - (noted[nth - 1] ?? 0));
  t.ok(
    steps.every((step) => step <= 280),
    noted.join(),
  );
  t.ok(noted.length >= 5 && noted.length <= 12, noted.join());
  t.match(left()?.rest, { reason: 'no_motion', epoch: 3, bootId: BOOT, fromMonoUs: from - 5e6 });
});

t.test('a withdrawal takes out what it covers, at once and of earlier runs as well', async (t) => {
  const { note, path, now, run, restOf, clock, left } = start(t);
  note.event(event('m', 1));
  note.event(event('s', 2, { kind: 'sound' }));
  now.rest = restOf(clock.mono - 1e6);
  run(note);
  await eventually('all is noted', () => left()?.rest != null);
  now.rest = null;
  t.ok(note.retain(({ scopes }) => !scopes.includes('video')));
  const text = readFileSync(path, 'utf8');
  t.notMatch(text, hex('m'));
  t.notMatch(text, 'no_motion');
  t.match(text, hex('s'));
  const before = statSync(path).mtimeMs;
  t.ok(note.retain(({ scopes }) => !scopes.includes('video')));
  t.equal(statSync(path).mtimeMs, before, 'nothing to do is no write');

  const next = start(t, path);
  t.equal(next.note.left()?.events.length, 1);
  t.ok(next.note.retain(() => true));
  t.match(readFileSync(path, 'utf8'), hex('s'), 'what is allowed stays for now');
  t.ok(next.note.retain(() => false));
  t.notMatch(readFileSync(path, 'utf8'), hex('s'));
  t.equal(next.note.left(), null);
});

t.test('a damaged note is none, and is gone with the next withdrawal', async (t) => {
  const { path } = start(t);
  const texts = [
    '',
    'nonsense',
    '{}',
    `{"bootId":"${BOOT}","monoUs":1,"atUs":1,"events":[{"kind":"motion"}],"rest":null}`,
    `{"bootId":"${BOOT}","monoUs":-1,"atUs":1,"events":[],"rest":null}`,
    `{"bootId":"${BOOT}","monoUs":1,"atUs":1,"events":[],"rest":{"reason":"refused"}}`,
  ];
  for (const text of texts) {
    writeFileSync(path, text);
    const { note } = start(t, path);
    t.equal(note.left(), null, text);
    t.ok(note.retain(() => true));
    t.strictSame(JSON.parse(readFileSync(path, 'utf8')).events, []);
  }
});

t.test('an end in order leaves none; one that cannot be written costs nothing else', async (t) => {
  const { note, path, told } = start(t);
  note.event(event('m', 1));
  note.end();
  t.notOk(existsSync(path));
  note.event(event('n', 1));
  rmSync(path);
  mkdirSync(path);
  note.event(event('o', 1));
  t.equal(told.length, 3);
  t.notOk(
    note.retain(() => false),
    'what may still be there is owed',
  );
  rmdirSync(path);
  t.ok(note.retain(() => false));
  t.notMatch(readFileSync(path, 'utf8'), hex('n'));
});
