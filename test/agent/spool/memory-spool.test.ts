// The spool in memory: order, room, refusals, withdrawal.
import t from 'tap';
import { MemorySpool } from '../../../agent/spool/memory-spool.ts';
import type { Spool, SpoolItem } from '../../../agent/spool/spool.ts';
import { gap, header, hex, media, SECOND_US, stream } from './captured.ts';

const make = (maxBytes = 1 << 20, onOverflow = () => {}) =>
  new MemorySpool({ maxBytes, onOverflow });

function told(item: SpoolItem | undefined): string {
  if (item === undefined) return 'nothing';
  if (item.kind === 'segment') return `segment ${item.header.sequence}`;
  if (item.kind === 'stream') return 'stream';
  const startS = (item.gap.startMonoUs - SECOND_US) / SECOND_US;
  return `gap ${item.gap.reason} ${startS}+${item.gap.durationUs / SECOND_US}`;
}

/** Takes and acknowledges everything. */
function drain(spool: Spool): string[] {
  const seen: string[] = [];
  for (let item = spool.next(); item; item = spool.next()) {
    seen.push(told(item));
    spool.free(item.id);
  }
  return seen;
}

function filled(segments: number, maxBytes?: number, onOverflow?: () => void): MemorySpool {
  const spool = make(maxBytes, onOverflow);
  spool.stream(stream('a'));
  for (let sequence = 0; sequence < segments; sequence += 1)
    spool.segment(header('a', sequence), media());
  return spool;
}

t.test('items come out in the order they went in', async (t) => {
  const spool = filled(2);
  spool.gap(gap('g', 2));
  spool.stream(stream('b'));
  spool.segment(header('b', 0), media());
  t.same(drain(spool), [
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
  const spool = filled(1);
  const first = spool.next();
  t.equal(told(first), 'stream');
  t.equal(told(spool.next()), 'nothing');
  spool.free(first?.id ?? 0);
  t.equal(told(spool.next()), 'segment 0');
});

t.test('what is given back comes again in its old place', async (t) => {
  const spool = filled(4);
  spool.free(spool.next()?.id ?? 0);
  const taken = [spool.next(), spool.next(), spool.next()];
  spool.free(taken[1]?.id ?? 0);
  spool.giveBack(taken[2]?.id ?? 0);
  t.equal(told(spool.next()), 'segment 2');
  spool.giveBackAll();
  t.same(drain(spool), ['segment 0', 'segment 2', 'segment 3']);
});

t.test(
  'a stream in flight at a loss of connection is sent again before its segments',
  async (t) => {
    const spool = filled(1);
    spool.next();
    spool.giveBackAll();
    t.same(drain(spool), ['stream', 'segment 0']);
  },
);

t.test('acknowledging what is gone is fine', async (t) => {
  const spool = filled(1);
  spool.free(99);
  spool.giveBack(99);
  t.same(drain(spool), ['stream', 'segment 0']);
});

t.test('a stream the server forgot goes before the next of its segments', async (t) => {
  const spool = filled(2);
  spool.free(spool.next()?.id ?? 0);
  const segment = spool.next();
  spool.resendStream(hex('a'));
  spool.giveBack(segment?.id ?? 0);
  t.same(drain(spool), ['stream', 'segment 0', 'segment 1']);
  spool.segment(header('a', 2), media());
  spool.resendStream(hex('a'));
  t.same(drain(spool), ['stream', 'segment 2'], 'the current one is kept without segments too');
});

t.test('without room the oldest segments become one growing gap', async (t) => {
  let overflows = 0;
  const spool = filled(0, 10_000, () => {
    overflows += 1;
  });
  for (let sequence = 0; sequence < 20; sequence += 1)
    spool.segment(header('a', sequence), media());
  t.ok(spool.held().bytes <= 10_000);
  t.equal(overflows, 1);
  t.same(
    drain(spool),
    ['stream', 'gap queue_full 0+14'].concat([14, 15, 16, 17, 18, 19].map((n) => `segment ${n}`)),
  );
});

t.test('what is in flight is never given up for room', async (t) => {
  const spool = filled(2, 4_000);
  spool.free(spool.next()?.id ?? 0);
  const flying = spool.next();
  for (let sequence = 2; sequence < 6; sequence += 1) spool.segment(header('a', sequence), media());
  t.equal(told(flying), 'segment 0');
  const found = flying?.kind === 'segment' ? await flying.media() : undefined;
  t.ok(found);
  spool.free(flying?.id ?? 0);
  t.same(drain(spool), ['gap queue_full 1+4', 'segment 5']);
});

t.test('a gap that was sent does not grow any more', async (t) => {
  const spool = filled(6, 6_000);
  spool.free(spool.next()?.id ?? 0);
  const sent = spool.next();
  t.match(told(sent), /^gap queue_full 0/);
  spool.giveBackAll();
  for (let sequence = 6; sequence < 9; sequence += 1) spool.segment(header('a', sequence), media());
  const seen = drain(spool);
  t.equal(seen[0], told(sent), 'it is sent again as it was');
  t.match(seen[1], /^gap queue_full/);
});

t.test('a stretch with a hole in it becomes two gaps', async (t) => {
  const spool = filled(0, 6_000);
  for (const sequence of [0, 1, 10, 11, 20, 21, 22]) spool.segment(header('a', sequence), media());
  t.same(drain(spool).slice(0, 4), [
    'stream',
    'gap queue_full 0+2',
    'gap queue_full 10+2',
    'segment 20',
  ]);
});

t.test('a segment larger than the queue becomes a gap at once', async (t) => {
  const spool = filled(0, 5_000);
  spool.segment(header('a', 0), media(100_000));
  t.same(drain(spool), ['stream', 'gap queue_full 0+1']);
});

t.test('gaps alone cannot fill the memory', async (t) => {
  const spool = make(10_000);
  for (let index = 0; index < 1000; index += 1) spool.gap(gap(`g${index}`, index * 10));
  t.ok(spool.held().bytes <= 10_000);
  t.match(drain(spool)[0], /^gap queue_full 0\+/);
});

t.test('a refused segment is covered by a gap, or by none', async (t) => {
  const spool = filled(4);
  spool.free(spool.next()?.id ?? 0);
  const flying = spool.next();
  spool.refuse({ kind: 'segment', streamId: hex('a'), sequence: 0 }, 'SEGMENT_HASH');
  spool.free(flying?.id ?? 0);
  spool.refuse({ kind: 'segment', streamId: hex('a'), sequence: 1 }, 'SEGMENT_HASH');
  spool.refuse({ kind: 'segment', streamId: hex('a'), sequence: 2 }, null);
  spool.refuse({ kind: 'segment', streamId: hex('a'), sequence: 77 }, 'SEGMENT_HASH');
  t.same(drain(spool), ['gap refused 0+2', 'segment 3']);
});

t.test('a refused stream takes its segments with it, those to come included', async (t) => {
  const spool = filled(2);
  const flying = spool.next();
  spool.refuse({ kind: 'stream', streamId: hex('a') }, 'DECODE_INVALID');
  spool.free(flying?.id ?? 0);
  spool.segment(header('a', 2), media());
  t.same(drain(spool), ['gap refused 0+3']);
  spool.stream(stream('b'));
  spool.segment(header('b', 0), media());
  t.same(drain(spool), ['stream', 'segment 0']);
});

t.test('a stream refused for want of consent leaves nothing', async (t) => {
  const spool = filled(2);
  spool.next();
  spool.refuse({ kind: 'stream', streamId: hex('a') }, null);
  spool.segment(header('a', 2), media());
  t.same(drain(spool), []);
  t.same(spool.held(), { items: 0, bytes: 0 });
});

t.test('a refused gap goes without a gap', async (t) => {
  const spool = make();
  spool.gap(gap('g', 0));
  spool.refuse({ kind: 'gap', gapId: hex('g') }, 'DECODE_INVALID');
  t.same(drain(spool), []);
});

t.test('a withdrawal erases what it covers, in flight too, and leaves no gap', async (t) => {
  const spool = filled(2);
  spool.free(spool.next()?.id ?? 0);
  const flying = spool.next();
  spool.gap(gap('g', 2));
  spool.stream(stream('b', { epoch: 2, scopes: ['video', 'audio'] }));
  spool.segment(header('b', 0, { epoch: 2, scopes: ['video', 'audio'] }), media());
  spool.retain(({ scopes }) => !scopes.includes('audio'));
  t.equal(spool.held().items, 3);
  spool.retain(() => false);
  t.same(spool.held(), { items: 0, bytes: 0 });
  t.equal(flying?.kind === 'segment' ? await flying.media() : 'none', undefined);
  spool.free(flying?.id ?? 0);
  spool.giveBackAll();
  spool.segment(header('b', 1), media());
  t.same(drain(spool), [], 'nor does a late segment of an erased stream come in');
});

t.test('memory stays flat over many streams and segments', async (t) => {
  const spool = make();
  for (let index = 0; index < 500; index += 1) {
    spool.stream(stream(`s${index}`));
    spool.segment(header(`s${index}`, 0), media());
    if (index % 3 === 0) drain(spool);
  }
  drain(spool);
  t.same(spool.held(), { items: 0, bytes: 0 });
});
