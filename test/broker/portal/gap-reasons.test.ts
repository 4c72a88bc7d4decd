// Why there are no pictures: what a look at every gap would say, however many there are.
import t from 'tap';
import { GapReasons, gapsWithin } from '../../../broker/portal/timeline.ts';
import type { GapRow } from '../../../broker/store/media-rows.ts';
import { seeded } from '../../seeded.ts';

function gapRow(reason: string, start_at_us: number, duration_us: number): GapRow {
  const ids = { device_id: 'd', gap_id: `${reason} ${start_at_us}`, boot_id: 'b' };
  const rest = { epoch: 1, code: null, received_at_us: 1, corrected_us: 0 };
  return { ...ids, ...rest, reason, start_at_us, start_mono_us: 0, duration_us };
}

t.test('reasons are those of the gaps that overlap', async (t) => {
  const random = seeded(t);
  const pick = (max: number): number => Math.floor(random() * max);
  const wrong: unknown[] = [];
  for (let round = 0; round < 200; round++) {
    const gaps = Array.from({ length: pick(12) }, () =>
      gapRow(['spool_full', 'source_lost', 'refused'][pick(3)] ?? '', pick(60), 1 + pick(15)),
    ).sort((one, other) => one.start_at_us - other.start_at_us);
    const reasons = new GapReasons(gaps);
    for (let fromUs = 0; fromUs < 80; fromUs++) {
      const toUs = fromUs + pick(10);
      const all = new Set(gapsWithin(gaps, fromUs, toUs).map(({ reason }) => reason));
      const told = reasons.within(fromUs, toUs);
      if (told.sort().join() !== [...all].sort().join()) wrong.push({ gaps, fromUs, toUs, told });
    }
  }
  t.same(wrong, []);
});

t.test('they come in order of time', async (t) => {
  const gaps = [gapRow('refused', 1, 2), gapRow('spool_full', 5, 9), gapRow('refused', 7, 1)];
  t.same(new GapReasons(gaps).within(4, 20), ['spool_full', 'refused']);
  t.same(new GapReasons([]).within(0, 1), []);
});

t.test('ten thousand gaps that never end are no more work than one', async (t) => {
  const gaps = Array.from({ length: 10_000 }, (_, at) => gapRow('source_lost', at, 2 ** 51));
  const reasons = new GapReasons(gaps);
  const before = performance.now();
  for (let atUs = 0; atUs < 50_000; atUs++) reasons.within(atUs, atUs + 1);
  t.ok(performance.now() - before < 5000);
});
