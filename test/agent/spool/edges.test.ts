// What comes at the same moment, or twice, or where nothing is known any more: what waits is still
// told of, and what may not be kept is gone.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Flash } from '../../../agent/spool/flash.ts';
import { spoolFolder } from '../../../agent/spool/folder.ts';
import type { SpoolQueueDeps } from '../../../agent/spool/queue.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { BOOT, gap, header, media, SECOND_US, stream } from './captured.ts';
import { drain, Rig, told } from './rig.ts';

const OTHER_BOOT = '11234567-89ab-4cde-8f01-23456789abcd';
const ALWAYS = { durability: 'always' } as const;

/** The real flash, with some of it replaced. */
function over(flash: Flash, more: Partial<SpoolQueueDeps['flash']>): SpoolQueueDeps['flash'] {
  return {
    write: (record) => flash.write(record),
    read: (id) => flash.read(id),
    remove: (...ids) => flash.remove(...ids),
    erase: (ids) => flash.erase(ids),
    usedBytes: () => flash.usedBytes(),
    room: () => flash.room(),
    ...more,
  };
}

function fileOf(rig: Rig, number: number, kind: string): string {
  return join(spoolFolder(rig.stateDir), `${String(number).padStart(20, '0')}.${kind}`);
}

/** Cuts a record within its header. */
function damage(rig: Rig, number: number, kind: string): void {
  const path = fileOf(rig, number, kind);
  writeFileSync(path, readFileSync(path).subarray(0, 20));
}

t.test('what is withdrawn while room is made for it never comes to flash', async (t) => {
  const rig = new Rig(t, ALWAYS);
  const written: string[] = [];
  const { flash } = rig;
  const queue = rig.open({
    flash: over(flash, {
      room: async () => {
        if (written.length > 0) queue.retain(() => false);
        return flash.room();
      },
      write: (record) => {
        written.push(record.kind);
        return flash.write(record);
      },
    }),
  });
  rig.capture(0, 1);
  await rig.settle();
  t.same(written, ['stream'], 'written before the withdrawal');
  t.same(rig.onFlash(), []);
});

t.test('each stream of an earlier run is kept for its segments', async (t) => {
  const rig = new Rig(t, ALWAYS);
  for (const name of ['a', 'b', 'c']) {
    rig.queue.stream(stream(name));
    rig.queue.segment(header(name, 0), media());
  }
  await rig.settle();
  const before = rig.onFlash();
  const queue = rig.open();
  queue.retain(() => true);
  t.same(rig.onFlash(), before);
  const both = ['stream', 'segment 0'];
  t.same(await drain(queue), [...both, ...both, ...both]);
  t.same(rig.onFlash(), []);
});

t.test('damaged gaps and segments in a row go with the gap in their place', async (t) => {
  const rig = new Rig(t, ALWAYS);
  rig.capture(0, 2);
  rig.queue.gap(gap('g', 2));
  rig.capture(3, 4);
  await rig.settle();
  damage(rig, 3, 'segment');
  damage(rig, 4, 'gap');
  rig.open();
  await rig.settle();
  t.same(rig.onFlash(), ['1.stream', '2.segment', '3.gap', '5.segment']);
  const after = rig.open();
  t.same(await drain(after), ['stream', 'segment 0', 'gap spool_damaged 1+2', 'segment 3']);
});

t.test('damaged records of which nothing is known take no room for ever', async (t) => {
  const rig = new Rig(t, ALWAYS);
  rig.capture(0, 2);
  await rig.settle();
  for (const number of [2, 3]) damage(rig, number, 'segment');
  damage(rig, 1, 'stream');
  const after = rig.open();
  t.same(await drain(after), []);
  t.same(rig.onFlash(), []);
  t.equal(after.held().bytes, 0);
});

t.test('what is damaged after a long gap is not taken for as long as that', async (t) => {
  const rig = new Rig(t, ALWAYS);
  rig.queue.gap(gap('g', 0, { durationUs: 18_000 * SECOND_US }));
  rig.capture(0, 2);
  await rig.settle();
  for (const number of [3, 4]) damage(rig, number, 'segment');
  t.same(await drain(rig.open()), ['gap source_lost 0+18000', 'gap spool_damaged 18000+2']);
});

t.test('what is damaged between two boots is covered up to the later one', async (t) => {
  const rig = new Rig(t, ALWAYS);
  rig.capture(0, 3);
  rig.queue.stream(stream('b', { bootId: OTHER_BOOT }));
  for (const sequence of [0, 1])
    rig.queue.segment(
      header('b', sequence, {
        startAtUs: header('b', 100 + sequence).startAtUs,
        startMonoUs: sequence * SECOND_US,
      }),
      media(),
    );
  await rig.settle();
  damage(rig, 4, 'segment');
  damage(rig, 6, 'segment');
  t.same(await drain(rig.open()), [
    'stream',
    'segment 0',
    'segment 1',
    'gap spool_damaged 2+99',
    'stream',
    'segment 1',
  ]);
});

t.test('segments without their stream are covered for as long as they say', async (t) => {
  const rig = new Rig(t, ALWAYS);
  rig.queue.stream(stream('a'));
  for (const sequence of [0, 1])
    rig.queue.segment(header('a', sequence, { durationUs: 4 * SECOND_US }), media());
  await rig.settle();
  damage(rig, 1, 'stream');
  const mark = { bootId: BOOT, endMonoUs: 9 * SECOND_US, endAtUs: 9 * SECOND_US, epoch: 1 };
  t.same(await drain(rig.open({ mark })), ['gap spool_damaged 0+8']);
});

t.test('sound without its stream goes with the consent to it', async (t) => {
  const rig = new Rig(t, ALWAYS);
  const scopes = ['video', 'audio'] as const;
  rig.queue.stream(stream('a', { scopes }));
  rig.queue.segment(header('a', 0, { scopes }), media());
  await rig.settle();
  damage(rig, 1, 'stream');
  const mark = { bootId: BOOT, endMonoUs: 9 * SECOND_US, endAtUs: 9 * SECOND_US, epoch: 1 };
  const queue = rig.open({ mark });
  queue.retain((item) => !item.scopes.includes('audio'));
  t.same(rig.onFlash(), []);
  t.same(rig.keys(), []);
});

t.test('a gap for which the full disk had no room is written in what it makes free', async (t) => {
  const rig = new Rig(t, { ...ALWAYS, maxBytes: 1 << 20 });
  const { flash } = rig;
  let isFull = false;
  const queue = rig.open({
    flash: over(flash, {
      remove: (...ids) => {
        isFull = false;
        flash.remove(...ids);
      },
      write: (record) =>
        isFull ? Promise.reject(new LenscapError('STORE_FULL', 'none')) : flash.write(record),
    }),
  });
  rig.capture(0, 9, 100_000);
  await queue.flush(true);
  isFull = true;
  rig.capture(9, 11, 100_000);
  await queue.flush(true);
  const seen = await drain(rig.open());
  t.match(seen[0], /^gap spool_full 0\+/, 'it is there after a stop');
});

t.test('gaps keep within the room of the spool', async (t) => {
  const rig = new Rig(t, { ...ALWAYS, maxBytes: 1 << 20 });
  rig.capture(0, 4, 100_000);
  for (let index = 0; index < 400; index += 1) rig.queue.gap(gap(`g${index}`, 10 + 10 * index));
  for (let round = 0; round < 3; round += 1) {
    await rig.settle(true);
    t.ok(rig.flash.usedBytes() <= 1 << 20, `${rig.flash.usedBytes()} bytes`);
  }
  const seen = await drain(rig.open());
  t.ok(seen.length > 200, `${seen.length}`);
  t.match(seen[0], /^gap spool_full 0\+\d{3,}/, 'nothing is lost in silence');
  t.match(seen.at(-1), 'gap source_lost 4000+1');
});

t.test('gaps of two boots never become one, nor does one that was sent grow', async (t) => {
  const { queue } = new Rig(t, ALWAYS);
  queue.gap(gap('old', 5_000_000, { bootId: OTHER_BOOT }));
  for (let index = 0; index < 30_000; index += 1) queue.gap(gap(`g${index}`, index * 10));
  t.match(told(queue.next('live')), 'gap source_lost 5000000+1');
  const sent = queue.next('live');
  t.match(told(sent), 'gap spool_full 0+11');
  queue.giveBackAll();
  queue.gap(gap('more', 400_000));
  queue.next('live');
  const again = queue.next('live');
  t.match(told(again), 'gap spool_full 0+21');
  t.not(again?.kind === 'gap' && again.gap.gapId, sent?.kind === 'gap' && sent.gap.gapId);
});

t.test('a time that is estimated does not keep what is behind it from growing old', async (t) => {
  const rig = new Rig(t, { ...ALWAYS, maxAgeS: 60 });
  rig.queue.stream(stream('b', { bootId: OTHER_BOOT, timeEstimated: true }));
  rig.queue.segment(header('b', 0), media());
  rig.nowUs = 2 * SECOND_US;
  rig.capture(0, 1);
  await rig.settle();
  rig.open();
  rig.nowUs += 100 * SECOND_US;
  rig.capture(102, 103);
  t.same(await drain(rig.queue), [
    'stream',
    'segment 0',
    'gap spool_expired 0+1',
    'stream',
    'segment 102',
  ]);
});

t.test('a segment larger than the spool becomes a gap and costs no other', async (t) => {
  const rig = new Rig(t, { ...ALWAYS, maxBytes: 1 << 20, memoryBytes: 4 << 20 });
  rig.capture(0, 2);
  rig.capture(2, 3, 1 << 20);
  rig.capture(3, 4);
  await rig.settle(true);
  t.same(await drain(rig.open()), [
    'stream',
    'segment 0',
    'segment 1',
    'gap spool_full 2+1',
    'segment 3',
  ]);
});

t.test('what was given up when the power went is given up, with its gap as it was', async (t) => {
  const rig = new Rig(t, { ...ALWAYS, maxBytes: 1 << 20 });
  rig.capture(0, 9, 100_000);
  await rig.settle();
  const path = fileOf(rig, 2, 'segment');
  const bytes = readFileSync(path);
  rig.capture(9, 11, 100_000);
  await rig.settle();
  // Removing is not synced.
  writeFileSync(path, bytes);
  const queue = rig.open();
  t.notOk(rig.onFlash().includes('2.segment'));
  t.match(await drain(queue), ['gap spool_full 0+2', 'stream', 'segment 2']);
});
