// How often boards that nobody has claimed ask.
import t from 'tap';
import { Waiting } from '../../../broker/fleet/waiting.ts';

t.test('few ask soon, a batch leaves room for others', async (t) => {
  const waiting = new Waiting();
  let retryS = 0;
  for (let board = 0; board < 50; board++) retryS = waiting.note(`S${board}`, 1);
  t.equal(retryS, 10);
  for (let board = 0; board < 2000; board++) retryS = waiting.note(`S${board}`, 2);
  t.equal(retryS, 200, 'ten in a second');
  for (let board = 0; board < 20_000; board++) retryS = waiting.note(`S${board}`, 3);
  t.equal(retryS, 600);
});

t.test('who was claimed or has gone does not count', async (t) => {
  const waiting = new Waiting();
  for (let board = 0; board < 2000; board++) waiting.note(`S${board}`, 1);
  for (let board = 1000; board < 2000; board++) waiting.forget(`S${board}`);
  t.equal(waiting.note('S0', 2), 100);
  t.equal(waiting.note('S0', 901e6), 10);
});
