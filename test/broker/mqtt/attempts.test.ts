import t from 'tap';
import { Attempts } from '../../../broker/mqtt/attempts.ts';

t.test('failures of an address and attempts of all are limited by the minute', async (t) => {
  let nowMs = 60_000;
  const limits = { attemptsPerMinute: 5, failuresPerMinutePerAddress: 2 };
  const attempts = new Attempts(limits, () => nowMs);
  for (let i = 0; i < 2; i++) {
    t.equal(attempts.begin('bad'), 0);
    attempts.failed('bad');
  }
  t.ok(attempts.isLimited('bad'));
  t.notOk(attempts.isLimited('good'), 'another address is not');
  nowMs += 20_000;
  t.equal(attempts.begin('bad'), 40, 'it has to wait for the next minute');
  for (let i = 0; i < 3; i++) t.equal(attempts.begin('good'), 0);
  t.equal(attempts.begin('good'), 40, 'all together have asked five times');
  nowMs += 40_000;
  t.notOk(attempts.isLimited('bad'));
  t.equal(attempts.begin('bad'), 0);
});
