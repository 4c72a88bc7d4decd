import t from 'tap';
import { MediaMemory } from '../../../broker/store/media-memory.ts';

const memory = new MediaMemory();

t.test('a small message in front of a large one outlives the memory they share', async (t) => {
  const read = Buffer.alloc(100_000, 7);
  const small = memory.keep(read.subarray(20, 400));
  const large = memory.keep(read.subarray(450));
  memory.discard(large);
  t.equal(read.length, 0, 'the shared memory was given back');
  t.same(small, Buffer.alloc(380, 7), 'the small one is untouched');
});

t.test('memory in which something else may lie is left alone', async (t) => {
  const read = Buffer.alloc(100_000, 7);
  memory.discard(read.subarray(0, 50_000));
  memory.discard(read.subarray(600));
  memory.discard(read.subarray(99_000));
  t.equal(read.length, 100_000);
});
