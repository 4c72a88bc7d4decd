// Whom the server believes about the time, and what it stores for it.
import t from 'tap';
import { judged } from '../../../broker/collector/anchor.ts';

const NOW_US = 1_800_000_000_000_000;
const bootId = '11111111-2222-4333-8444-555555555555';
const monoUs = 90_000_000;

t.test('a camera is believed unless its clock cannot be right', async (t) => {
  const cases = [
    { aheadUs: 0, isBelieved: true },
    { aheadUs: 10_000_000, isBelieved: true },
    { aheadUs: 10_000_001, isBelieved: false },
    { aheadUs: 3600e6, isBelieved: false },
    { aheadUs: -300_000_000, isBelieved: true },
    { aheadUs: -300_000_001, isBelieved: false },
    { aheadUs: -NOW_US, isBelieved: false },
  ];
  for (const { aheadUs, isBelieved } of cases) {
    const anchor = { bootId, atUs: NOW_US + aheadUs, monoUs, estimated: false };
    t.same(
      judged(anchor, NOW_US),
      isBelieved
        ? { offset_us: NOW_US + aheadUs - monoUs, source: 'camera' }
        : { offset_us: NOW_US - monoUs, source: 'server' },
      `${aheadUs}`,
    );
  }
});

t.test('a camera that estimates is not believed, however near it is', async (t) => {
  const anchor = { bootId, atUs: NOW_US - 1, monoUs, estimated: true };
  t.same(judged(anchor, NOW_US), { offset_us: NOW_US - monoUs, source: 'server' });
});
