// Pieces whose times overlap by a wrong clock: each is shown once, and no run is cut.
import t from 'tap';
import { allInRuns, Runs } from '../../../broker/portal/runs.ts';
import { seeded } from '../../seeded.ts';

interface Piece {
  readonly stream_id: string;
  readonly sequence: number;
  readonly start_at_us: number;
  readonly duration_us: number;
}

function run(stream_id: string, startS: number, count: number): Piece[] {
  return Array.from({ length: count }, (_, sequence) => ({
    stream_id,
    sequence,
    start_at_us: (startS + sequence * 4) * 1e6,
    duration_us: 4e6,
  }));
}

const byTime = (pieces: readonly Piece[]): Piece[] =>
  [...pieces].sort(
    (one, other) =>
      one.start_at_us - other.start_at_us || one.stream_id.localeCompare(other.stream_id),
  );
const streamsOf = (pieces: readonly Piece[]): string =>
  pieces.map(({ stream_id }) => stream_id).join('');

t.test('two boots with the same wall time come one after the other', async (t) => {
  t.equal(streamsOf(allInRuns(byTime([...run('a', 0, 5), ...run('b', 0, 5)]))), 'aaaaabbbbb');
  t.equal(streamsOf(allInRuns(byTime([...run('a', 0, 5), ...run('b', 2, 3)]))), 'aaaaabbb');
  t.equal(streamsOf(allInRuns(byTime([...run('a', 2, 2), ...run('b', 0, 9)]))), 'bbbbbbbbbaa');
  const three = [...run('a', 0, 4), ...run('b', 5, 4), ...run('c', 9, 9)];
  t.equal(streamsOf(allInRuns(byTime(three))), 'aaaabbbbccccccccc');
});

t.test('what does not overlap stays in order of time, holes included', async (t) => {
  const apart = [...run('a', 0, 3), ...run('b', 20, 2), ...run('a', 40, 3), ...run('c', 52, 1)];
  t.same(allInRuns(byTime(apart)), byTime(apart));
  t.same(allInRuns([]), []);
});

t.test('every piece comes out once, and no run is cut', async (t) => {
  const random = seeded(t);
  const pick = (max: number): number => Math.floor(random() * max);
  for (let round = 0; round < 300; round++) {
    const pieces = byTime(
      Array.from({ length: 1 + pick(6) }, (_, at) =>
        run('abcdef'.charAt(at), pick(60), pick(9)),
      ).flat(),
    );
    const out = allInRuns(pieces);
    if (new Set(out).size !== pieces.length || out.length !== pieces.length)
      t.fail('not each once');
    const order = streamsOf(out).replace(/(.)\1*/g, '$1');
    // Each stream of these is one run.
    if (new Set(order).size !== order.length) t.fail(`a run is cut: ${streamsOf(out)}`);
    for (const stream of new Set(order)) {
      const own = out.filter(({ stream_id }) => stream_id === stream);
      if (own.some(({ sequence }, at) => sequence !== at)) t.fail('a run goes back');
    }
  }
  t.pass('300 recordings');
});

t.test('thousands of streams at one time are no more work than one', async (t) => {
  const pieces = Array.from({ length: 30_000 }, (_, stream) => run(`${stream}`, 0, 1)).flat();
  const before = performance.now();
  t.same(allInRuns(pieces), pieces);
  t.ok(performance.now() - before < 5000);
});

t.test('where too many wait for the end of a run, it is cut', async (t) => {
  const runs = new Runs<Piece>();
  const [one, two] = [run('a', 0, 60_000), run('b', 2, 60_000)];
  const out = one
    .flatMap((piece, at) => [piece, two[at] ?? []].flat())
    .flatMap((piece) => runs.add(piece));
  t.ok(120_000 - out.length <= 50_001, `${120_000 - out.length} wait`);
  out.push(...runs.finish());
  t.equal(new Set(out).size, 120_000);
  t.equal(streamsOf(out).replace(/(.)\1*/g, '$1'), 'aba');
});
