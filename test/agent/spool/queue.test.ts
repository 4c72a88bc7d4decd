// What goes next, what comes back, what is refused, withdrawn or given up, wherever it lies.
import t, { type Test } from 'tap';
import type { SpoolQueue } from '../../../agent/spool/queue.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { gap, header, hex, media, SECOND_US, stream } from './captured.ts';
import { drain, Rig, told } from './rig.ts';

const NO_FLASH = { found: [], damaged: [], fault: new LenscapError('STORE_FAILED', 'none here') };

function filled(t: Test, segments: number): SpoolQueue {
  const rig = new Rig(t);
  rig.capture(0, segments);
  return rig.queue;
}

t.test('items come out in the order they went in', async (t) => {
  const spool = filled(t, 2);
  spool.gap(gap('g', 2));
  spool.stream(stream('b'));
  spool.segment(header('b', 0), media());
  t.same(await drain(spool), [
    'stream',
    'segment 0',
    'segment 1',
    'gap source_lost 2+1',
    'stream',
    'segment 0',
  ]);
  t.same(spool.held(), { items: 0, bytes: 0 });
});

t.test('a segment waits until its stream is acknowledged', async (t) => {
  const spool = filled(t, 1);
  const first = spool.next('live');
  t.equal(told(first), 'stream');
  t.equal(told(spool.next('live')), 'nothing');
  spool.free(first?.id ?? 0);
  t.equal(told(spool.next('live')), 'segment 0');
});

t.test('what is given back comes again in its old place', async (t) => {
  const spool = filled(t, 4);
  spool.free(spool.next('live')?.id ?? 0);
  const taken = [spool.next('live'), spool.next('live'), spool.next('live')];
  spool.free(taken[1]?.id ?? 0);
  spool.giveBack(taken[2]?.id ?? 0);
  t.equal(told(spool.next('live')), 'segment 2');
  spool.giveBackAll();
  t.same(await drain(spool), ['segment 0', 'segment 2', 'segment 3']);
});

t.test(
  'a stream in flight at a loss of connection is sent again before its segments',
  async (t) => {
    const spool = filled(t, 1);
    spool.next('live');
    spool.giveBackAll();
    t.same(await drain(spool), ['stream', 'segment 0']);
  },
);

t.test('acknowledging what is gone is fine', async (t) => {
  const spool = filled(t, 1);
  spool.free(99);
  spool.giveBack(99);
  t.same(await drain(spool), ['stream', 'segment 0']);
});

t.test('a stream the server forgot goes before the next of its segments', async (t) => {
  const spool = filled(t, 2);
  spool.free(spool.next('live')?.id ?? 0);
  const segment = spool.next('live');
  spool.resendStream(hex('a'));
  spool.giveBack(segment?.id ?? 0);
  t.same(await drain(spool), ['stream', 'segment 0', 'segment 1']);
  spool.segment(header('a', 2), media());
  spool.resendStream(hex('a'));
  t.same(
    await drain(spool),
    ['stream', 'segment 2'],
    'the current one is kept without segments too',
  );
});

t.test('what was handed in just now goes before what waits for longer', async (t) => {
  const rig = new Rig(t);
  rig.capture(0, 3);
  rig.queue.free(rig.queue.next('live')?.id ?? 0);
  rig.nowUs += 11 * SECOND_US;
  rig.capture(3, 5);
  t.equal(told(rig.queue.next('live')), 'segment 3');
  t.equal(told(rig.queue.next('backlog')), 'segment 0');
  t.equal(told(rig.queue.next('live')), 'segment 4');
  t.equal(told(rig.queue.next('live')), 'nothing');
  t.equal(told(rig.queue.next('backlog')), 'segment 1');
  rig.queue.giveBackAll();
  t.equal(told(rig.queue.next('backlog')), 'segment 0', 'in order again');
});

t.test('gaps can be had alone, in order', async (t) => {
  const rig = new Rig(t);
  rig.capture(0, 1);
  rig.queue.gap(gap('g', 1));
  rig.nowUs += 11 * SECOND_US;
  rig.queue.gap(gap('h', 3));
  t.equal(told(rig.queue.next('gaps')), 'gap source_lost 1+1');
  t.equal(told(rig.queue.next('gaps')), 'gap source_lost 3+1');
  t.equal(told(rig.queue.next('gaps')), 'nothing');
});

t.test('where the flash takes nothing, the oldest segments in memory become one gap', async (t) => {
  const rig = new Rig(t, { memoryBytes: 6000 }, { opened: NO_FLASH });
  rig.capture(0, 20);
  t.equal(rig.log.filter((line) => line.includes('"SPOOL_FULL"')).length, 1, 'told once');
  t.same(await drain(rig.queue), [
    'gap spool_full 0+15',
    'stream',
    ...[15, 16, 17, 18, 19].map((n) => `segment ${n}`),
  ]);
});

t.test('what is in flight is never given up for room', async (t) => {
  const rig = new Rig(t, { memoryBytes: 2500 }, { opened: NO_FLASH });
  rig.capture(0, 2);
  rig.queue.free(rig.queue.next('live')?.id ?? 0);
  const flying = rig.queue.next('live');
  rig.capture(2, 6);
  t.equal(told(flying), 'segment 0');
  t.ok(flying?.kind === 'segment' && (await flying.payload()));
  rig.queue.free(flying?.id ?? 0);
  t.same(await drain(rig.queue), ['gap spool_full 1+4', 'segment 5']);
});

t.test('a gap that was sent does not grow any more', async (t) => {
  const rig = new Rig(t, { memoryBytes: 3500 }, { opened: NO_FLASH });
  rig.capture(0, 6);
  const { queue } = rig;
  const sent = queue.next('live');
  t.match(told(sent), /^gap spool_full 0/);
  queue.giveBackAll();
  rig.capture(6, 9);
  const seen = await drain(queue);
  t.ok(seen.includes(told(sent)), 'it is sent again as it was');
  t.equal(seen.filter((line) => line.startsWith('gap spool_full')).length, 2);
});

t.test('a stretch with a hole in it becomes two gaps', async (t) => {
  const rig = new Rig(t, { memoryBytes: 3500 }, { opened: NO_FLASH });
  rig.capture(0, 2);
  rig.capture(10, 12);
  rig.capture(20, 23);
  t.same((await drain(rig.queue)).slice(0, 4), [
    'gap spool_full 0+2',
    'gap spool_full 10+2',
    'stream',
    'segment 20',
  ]);
});

t.test('a segment larger than the memory becomes a gap at once', async (t) => {
  const rig = new Rig(t, { memoryBytes: 5000 }, { opened: NO_FLASH });
  rig.capture(0, 1, 100_000);
  t.same(await drain(rig.queue), ['gap spool_full 0+1']);
});

t.test('gaps alone cannot fill the memory', async (t) => {
  const { queue } = new Rig(t);
  for (let index = 0; index < 30_100; index += 1) queue.gap(gap(`g${index}`, index * 10));
  t.equal(queue.held().items, 30_000);
  t.match(told(queue.next('live')), /^gap spool_full 0\+/);
});

t.test('a refused segment is covered by a gap, or by none', async (t) => {
  const spool = filled(t, 4);
  spool.free(spool.next('live')?.id ?? 0);
  const flying = spool.next('live');
  spool.refuse({ kind: 'segment', streamId: hex('a'), sequence: 0 }, 'SEGMENT_HASH');
  spool.free(flying?.id ?? 0);
  spool.refuse({ kind: 'segment', streamId: hex('a'), sequence: 1 }, 'SEGMENT_HASH');
  spool.refuse({ kind: 'segment', streamId: hex('a'), sequence: 2 }, null);
  spool.refuse({ kind: 'segment', streamId: hex('a'), sequence: 77 }, 'SEGMENT_HASH');
  t.same(await drain(spool), ['gap refused 0+2', 'segment 3']);
});

t.test('a refused stream takes its segments with it, those to come included', async (t) => {
  const spool = filled(t, 2);
  const flying = spool.next('live');
  spool.refuse({ kind: 'stream', streamId: hex('a') }, 'DECODE_INVALID');
  spool.free(flying?.id ?? 0);
  spool.segment(header('a', 2), media());
  t.same(await drain(spool), ['gap refused 0+3']);
  spool.stream(stream('b'));
  spool.segment(header('b', 0), media());
  t.same(await drain(spool), ['stream', 'segment 0']);
});

t.test('a stream refused for want of consent leaves nothing', async (t) => {
  const spool = filled(t, 2);
  spool.next('live');
  spool.refuse({ kind: 'stream', streamId: hex('a') }, null);
  spool.segment(header('a', 2), media());
  t.same(await drain(spool), []);
  t.same(spool.held(), { items: 0, bytes: 0 });
});

t.test('a refused gap goes without a gap', async (t) => {
  const spool = new Rig(t).queue;
  spool.gap(gap('g', 0));
  spool.refuse({ kind: 'gap', gapId: hex('g') }, 'DECODE_INVALID');
  t.same(await drain(spool), []);
});

t.test('a withdrawal erases what it covers, in flight too, and leaves no gap', async (t) => {
  const spool = filled(t, 2);
  spool.free(spool.next('live')?.id ?? 0);
  const flying = spool.next('live');
  spool.gap(gap('g', 2));
  spool.stream(stream('b', { epoch: 2, scopes: ['video', 'audio'] }));
  spool.segment(header('b', 0, { epoch: 2, scopes: ['video', 'audio'] }), media());
  spool.retain(({ epoch }) => epoch === 1);
  t.equal(spool.held().items, 3);
  spool.retain(() => false);
  t.same(spool.held(), { items: 0, bytes: 0 });
  t.equal(flying?.kind === 'segment' ? await flying.payload() : 'none', undefined);
  spool.free(flying?.id ?? 0);
  spool.giveBackAll();
  spool.segment(header('b', 1), media());
  t.same(await drain(spool), [], 'nor does a late segment of an erased stream come in');
});

t.test('a withdrawal of sound alone tells of the pictures that went with it', async (t) => {
  const { queue } = new Rig(t);
  queue.stream(stream('b', { scopes: ['video', 'audio'] }));
  for (const sequence of [0, 1])
    queue.segment(header('b', sequence, { scopes: ['video', 'audio'] }), media());
  queue.retain(({ scopes }) => !scopes.includes('audio'));
  t.same(await drain(queue), ['gap refused 0+2']);
});

t.test('memory stays flat over many streams and segments', async (t) => {
  const spool = new Rig(t).queue;
  for (let index = 0; index < 500; index += 1) {
    spool.stream(stream(`s${index}`));
    spool.segment(header(`s${index}`, 0), media());
    if (index % 3 === 0) await drain(spool);
  }
  await drain(spool);
  t.same(spool.held(), { items: 0, bytes: 0 });
});
