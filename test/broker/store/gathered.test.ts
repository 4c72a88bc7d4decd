import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { Gathered } from '../../../broker/store/gathered.ts';

/** Reads that wait to be answered by the test. */
function setup() {
  const reads: { keys: readonly string[]; answer: PromiseWithResolvers<Map<string, string>> }[] =
    [];
  const gathered = new Gathered<string>((keys) => {
    const answer = Promise.withResolvers<Map<string, string>>();
    reads.push({ keys, answer });
    return answer.promise;
  });
  const reply = (i: number): void =>
    reads[i]?.answer.resolve(new Map(reads[i].keys.map((key) => [key, `${key}${i}`])));
  return { gathered, reads, reply };
}

t.test('who asks while a read is under way is answered by the next, all together', async (t) => {
  const { gathered, reads, reply } = setup();
  const first = gathered.get('a');
  const others = ['a', 'b', 'b', 'c'].map((key) => gathered.get(key));
  t.equal(reads.length, 1);
  reply(0);
  t.equal(await first, 'a0');
  await turn();
  t.same(reads[1]?.keys, ['a', 'b', 'c'], 'also what was being read: it may have changed since');
  reply(1);
  t.same(await Promise.all(others), ['a1', 'b1', 'b1', 'c1']);
});

t.test('what is not there is undefined', async (t) => {
  const { gathered, reads } = setup();
  const asked = gathered.get('a');
  reads[0]?.answer.resolve(new Map());
  t.equal(await asked, undefined);
});

t.test('a failed read fails those who asked, and nobody after', async (t) => {
  const { gathered, reads, reply } = setup();
  const failing = gathered.get('a');
  const next = gathered.get('b');
  reads[0]?.answer.reject(new Error('the disk'));
  await t.rejects(failing, { message: 'the disk' });
  reply(1);
  t.equal(await next, 'b1');
});

t.test('no read is of more than 32, and none is left out', async (t) => {
  const { gathered, reads, reply } = setup();
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
  const all = Promise.all(keys.map((key) => gathered.get(key)));
  for (let i = 0; i < 5; i++) {
    reply(i);
    await turn();
  }
  t.match(
    await all,
    keys.map((key) => new RegExp(`^${key}\\d$`)),
  );
  t.same(
    reads.map((read) => read.keys.length),
    [1, 32, 32, 32, 3],
  );
});
