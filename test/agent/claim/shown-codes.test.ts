// Which code is offered next: refused ones rest, good ones are kept for a while, all within bounds.
import t from 'tap';
import { ShownCodes } from '../../../agent/claim/shown-codes.ts';

t.test('a code is offered when it is seen, and again after each answer to try later', async (t) => {
  const shown = new ShownCodes();
  t.strictSame(shown.next(0), { waitMs: null });
  shown.saw('a', 10);
  t.strictSame(shown.next(10), { code: 'a' });
  shown.answered('a', 'retry', 20);
  t.strictSame(shown.next(20), { waitMs: 5000 });
  shown.saw('a', 30);
  t.strictSame(shown.next(30), { waitMs: 4990 }, 'seeing it does not hurry');
  t.strictSame(shown.next(5020), { code: 'a' });
});

t.test(
  'a refused code rests for a minute, also while it is seen, and another is not held up',
  async (t) => {
    const shown = new ShownCodes();
    shown.saw('a', 0);
    shown.answered('a', 'refused', 100);
    for (const nowMs of [200, 30_000, 60_099]) {
      shown.saw('a', nowMs);
      t.strictSame(shown.next(nowMs), { waitMs: null });
    }
    shown.saw('b', 60_099);
    t.strictSame(shown.next(60_099), { code: 'b' });
    shown.answered('b', 'refused', 60_100);
    t.strictSame(shown.next(60_100), { waitMs: null }, 'only what is seen again is offered again');
    shown.saw('a', 60_100);
    t.strictSame(shown.next(60_100), { code: 'a' });
  },
);

t.test('a code that was not seen for a quarter of an hour is forgotten', async (t) => {
  const shown = new ShownCodes();
  shown.saw('a', 0);
  shown.answered('a', 'retry', 900_000);
  t.strictSame(shown.next(900_000), { waitMs: 5000 });
  t.strictSame(shown.next(905_000), { waitMs: null });
  shown.answered('a', 'retry', 905_000);
  t.strictSame(shown.next(999_999), { waitMs: null });
});

t.test('however many codes are shown, few are kept', async (t) => {
  const shown = new ShownCodes();
  for (let at = 0; at < 10_000; at += 1) shown.saw(`code ${at}`, at);
  const offered: string[] = [];
  for (;;) {
    const next = shown.next(10_000);
    if ('waitMs' in next) break;
    offered.push(next.code);
    shown.answered(next.code, 'refused', 10_000);
  }
  t.equal(offered.length, 32);
  t.equal(offered[0], 'code 9968');
});
