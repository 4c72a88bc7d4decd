// When what waits moves to flash, what that costs it, and what a later run finds.
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { spoolFolder } from '../../../agent/spool/folder.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { gap, header, media, SECOND_US, stream } from './captured.ts';
import { drain, Rig, told } from './rig.ts';

const isSegment = (name: string) => name.endsWith('.segment');

t.test('while the server answers, nothing is written', async (t) => {
  const rig = new Rig(t);
  rig.capture(0, 1);
  for (let sequence = 1; sequence < 60; sequence += 1) {
    rig.nowUs += SECOND_US;
    rig.capture(sequence, sequence + 1);
    rig.queue.free(rig.queue.next('live')?.id ?? 0);
    await rig.settle();
    t.same(rig.onFlash(), []);
  }
});

t.test('after a silence of the server all moves to flash, and then each at once', async (t) => {
  const rig = new Rig(t);
  rig.capture(0, 2);
  rig.nowUs += 9 * SECOND_US;
  await rig.settle();
  t.same(rig.onFlash(), []);
  rig.nowUs += 1.1 * SECOND_US;
  rig.capture(2, 3);
  await rig.settle();
  t.same(rig.onFlash(), ['1.stream', '2.segment', '3.segment', '4.segment']);
  rig.nowUs += SECOND_US;
  rig.capture(3, 4);
  await rig.settle();
  t.equal(rig.onFlash().length, 5);
  rig.queue.free(rig.queue.next('live')?.id ?? 0);
  rig.nowUs += SECOND_US;
  rig.capture(4, 5);
  await rig.settle();
  t.equal(rig.onFlash().length, 5, 'an acknowledgement ends it');
  t.same(
    await drain(rig.queue),
    [0, 1, 2, 3, 4].map((n) => `segment ${n}`),
  );
  t.same(rig.onFlash(), ['1.stream'], 'of the stream that is under way');
});

t.test('what one segment waits for too long moves alone, though the server answers', async (t) => {
  const rig = new Rig(t);
  rig.capture(0, 3);
  rig.queue.free(rig.queue.next('live')?.id ?? 0);
  rig.nowUs += 6 * SECOND_US;
  rig.queue.free(rig.queue.next('live')?.id ?? 0);
  rig.capture(3, 4);
  rig.nowUs += 5 * SECOND_US;
  await rig.settle();
  t.same(rig.onFlash().filter(isSegment), ['3.segment', '4.segment']);
});

for (const [why, config, over] of [
  ['durability is always', { durability: 'always' }, {}],
  ['the machine is short of memory', { minFreeMemoryBytes: 1 << 20 }, { availableMemory: () => 1 }],
  ['half of the memory is used', { memoryBytes: 5000 }, {}],
] as const)
  t.test(`everything moves at once when ${why}`, async (t) => {
    const rig = new Rig(t, config, over);
    rig.capture(0, 4);
    await rig.settle();
    t.equal(rig.onFlash().filter(isSegment).length, 4);
    t.equal(rig.log.filter((line) => line.includes('given up')).length, 0);
  });

t.test('a stop moves all that waits, and a later run sends it in order', async (t) => {
  const rig = new Rig(t);
  rig.capture(0, 3);
  rig.queue.gap(gap('g', 3));
  await rig.settle(true);
  const after = rig.open();
  t.same(after.lastEnd, {
    bootId: '01234567-89ab-4cde-8f01-23456789abcd',
    endMonoUs: 5 * SECOND_US,
    endAtUs: 1_800_000_004 * SECOND_US,
    epoch: 1,
  });
  after.stream(stream('b'));
  after.segment(header('b', 5), media());
  t.equal(told(after.next('live')), 'stream');
  t.equal(told(after.next('backlog')), 'stream');
  after.giveBackAll();
  t.same(await drain(after), [
    'stream',
    'segment 0',
    'segment 1',
    'segment 2',
    'gap source_lost 3+1',
    'stream',
    'segment 5',
  ]);
  t.same(rig.onFlash(), []);
  t.same(rig.keys(), [], 'the key of what is gone is destroyed');
});

t.test('bytes on flash are freed by the acknowledgement alone', async (t) => {
  const rig = new Rig(t, { durability: 'always' });
  rig.capture(0, 2);
  await rig.settle();
  const flying = [rig.queue.next('live'), rig.queue.next('live')];
  t.equal(rig.onFlash().length, 3);
  rig.queue.giveBackAll();
  t.equal(rig.onFlash().length, 3);
  t.equal(told(flying[0]), 'stream');
  await drain(rig.queue);
  t.same(rig.onFlash().filter(isSegment), []);
});

t.test('a full spool gives up the oldest, and its gap is exact', async (t) => {
  const rig = new Rig(t, { maxBytes: 1 << 20, durability: 'always' });
  const maxBytes = () =>
    rig.onFlash().reduce((sum, name) => {
      const path = join(
        spoolFolder(rig.stateDir),
        name.padStart(name.length + 20 - name.indexOf('.'), '0'),
      );
      return sum + Math.ceil(statSync(path).size / 4096) * 4096;
    }, 0);
  rig.capture(0, 1, 100_000);
  for (let sequence = 1; sequence < 30; sequence += 1) {
    await rig.settle();
    t.ok(maxBytes() <= 1 << 20, `${maxBytes()} bytes`);
    rig.capture(sequence, sequence + 1, 100_000);
  }
  await rig.settle();
  const kept = rig.onFlash().filter(isSegment).length;
  t.ok(kept >= 7, `${kept} segments`);
  const seen = await drain(rig.open());
  t.equal(seen[0], `gap spool_full 0+${30 - kept}`);
  t.equal(seen[2], `segment ${30 - kept}`);
  t.equal(seen.length, kept + 2);
});

t.test('a full spool keeps its gaps over a crash at any write', async (t) => {
  const rig = new Rig(t, { maxBytes: 1 << 20, durability: 'always' });
  rig.capture(0, 20, 100_000);
  await rig.settle();
  rig.capture(20, 40, 100_000);
  await rig.settle();
  const seen = await drain(rig.open());
  const covered = seen.flatMap((line) => {
    const [, start, length] = /^gap spool_full (\d+)\+(\d+)$/.exec(line) ?? [];
    const [, sequence] = /^segment (\d+)$/.exec(line) ?? [];
    if (sequence !== undefined) return [Number(sequence)];
    return Array.from({ length: Number(length ?? 0) }, (_, index) => Number(start) + index);
  });
  t.same(
    [...new Set(covered)].sort((one, other) => one - other),
    Array.from({ length: 40 }, (_, index) => index),
    'every second is there, or told as lost',
  );
});

t.test('a withdrawal erases flash and key; what it does not cover stays', async (t) => {
  const rig = new Rig(t, { durability: 'always' });
  rig.capture(0, 2);
  rig.queue.stream(stream('b', { scopes: ['video', 'audio'] }));
  rig.queue.segment(header('b', 0, { scopes: ['video', 'audio'] }), media());
  await rig.settle();
  t.same(rig.keys(), ['video', 'video,audio']);
  rig.queue.retain(({ scopes }) => !scopes.includes('audio'));
  t.same(rig.onFlash(), ['1.stream', '2.segment', '3.segment']);
  t.same(rig.keys(), ['video']);
  await rig.settle();
  t.same(rig.onFlash(), ['1.stream', '2.segment', '3.segment', '5.gap']);
  rig.queue.retain(() => false);
  t.same(rig.onFlash(), []);
  t.same(rig.keys(), []);
  t.same(rig.queue.held(), { items: 0, bytes: 0 });
});

t.test('a segment that cannot be read back becomes a gap, and the next one comes', async (t) => {
  const rig = new Rig(t, { durability: 'always' });
  rig.capture(0, 3);
  await rig.settle();
  const path = join(spoolFolder(rig.stateDir), `${'3'.padStart(20, '0')}.segment`);
  const bytes = readFileSync(path);
  const at = bytes.byteLength - 20;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(path, bytes);
  t.same(await drain(rig.open()), ['stream', 'segment 0', 'gap spool_damaged 1+1', 'segment 2']);
});

t.test('heads that cannot be read become one gap between their neighbours', async (t) => {
  const rig = new Rig(t, { durability: 'always' });
  rig.capture(0, 5);
  await rig.settle();
  for (const number of [3, 4]) {
    const path = join(spoolFolder(rig.stateDir), `${String(number).padStart(20, '0')}.segment`);
    writeFileSync(path, readFileSync(path).subarray(0, 20));
  }
  const after = rig.open();
  await rig.settle();
  t.same(rig.onFlash().slice(1), ['2.segment', '3.gap', '5.segment', '6.segment']);
  t.same(await drain(after), [
    'stream',
    'segment 0',
    'gap spool_damaged 1+2',
    'segment 3',
    'segment 4',
  ]);
});

t.test('a stream that cannot be read turns its segments into gaps of their time', async (t) => {
  const rig = new Rig(t, { durability: 'always' });
  rig.capture(0, 3);
  await rig.settle();
  rmSync(join(spoolFolder(rig.stateDir), `${'1'.padStart(20, '0')}.stream`));
  const mark = {
    bootId: '01234567-89ab-4cde-8f01-23456789abcd',
    endMonoUs: 4 * SECOND_US,
    endAtUs: 1_800_000_003 * SECOND_US,
    epoch: 1,
  };
  const after = rig.open({ mark });
  await rig.settle();
  t.same(await drain(after), ['gap spool_damaged 0+3']);
  t.same(rig.onFlash(), []);
});

t.test('what waited too long is given up, by no clock that can be set', async (t) => {
  const rig = new Rig(t, { durability: 'always', maxAgeS: 60 });
  rig.nowUs = 2 * SECOND_US;
  rig.open();
  rig.capture(0, 2);
  await rig.settle();
  rig.nowUs += 59.5 * SECOND_US;
  rig.capture(61, 62);
  t.same(await drain(rig.queue), ['gap spool_expired 0+1', 'stream', 'segment 1', 'segment 61']);
});

t.test('what is safe is told, up to the oldest that only memory holds', async (t) => {
  const rig = new Rig(t);
  rig.capture(0, 3);
  t.same(rig.safe.at(-1)?.endMonoUs, SECOND_US, 'nothing yet but what was before');
  rig.queue.free(rig.queue.next('live')?.id ?? 0);
  const [first, second] = [rig.queue.next('live'), rig.queue.next('live')];
  rig.queue.free(second?.id ?? 0);
  t.equal(rig.safe.at(-1)?.endMonoUs, SECOND_US);
  rig.queue.free(first?.id ?? 0);
  t.equal(rig.safe.at(-1)?.endMonoUs, 3 * SECOND_US);
  await rig.settle(true);
  t.equal(rig.safe.at(-1)?.endMonoUs, 4 * SECOND_US);
});

t.test(
  'a flash that fails leaves the spool in memory, tells it once, and is tried again',
  async (t) => {
    const rig = new Rig(t, { durability: 'always' });
    const real = rig.flash;
    let isBroken = true;
    const queue = rig.open({
      // The real one, behind a switch.
      flash: {
        write: (record) =>
          isBroken ? Promise.reject(new LenscapError('STORE_FAILED', 'EIO')) : real.write(record),
        read: (id) => real.read(id),
        remove: (...ids) => real.remove(...ids),
        erase: (ids) => real.erase(ids),
        usedBytes: () => real.usedBytes(),
        room: () => real.room(),
      },
    });
    let changes = 0;
    queue.onChange(() => {
      changes += 1;
    });
    rig.capture(0, 2);
    await rig.settle();
    t.match(queue.health(), { state: 'memory_only', code: 'STORE_FAILED' });
    const told1 = rig.log.filter((line) => line.includes('memory only')).length;
    rig.nowUs += 6 * SECOND_US;
    rig.capture(2, 3);
    await rig.settle();
    t.equal(rig.log.filter((line) => line.includes('memory only')).length, told1);
    isBroken = false;
    rig.nowUs += 61 * SECOND_US;
    const before = changes;
    await rig.settle();
    t.match(queue.health(), { state: 'on_flash', code: null });
    t.ok(changes > before, 'the change is told');
    t.same(await drain(queue), ['stream', 'segment 0', 'segment 1', 'segment 2']);
  },
);

t.test('a spool of another version stays as it is, until all is withdrawn', async (t) => {
  const rig = new Rig(t, { durability: 'always' });
  rig.capture(0, 2);
  await rig.settle();
  writeFileSync(join(spoolFolder(rig.stateDir), 'key'), '{"version":7}');
  const queue = rig.open();
  rig.capture(0, 1);
  await rig.settle();
  t.match(queue.health(), { state: 'memory_only', code: 'STORE_FAILED' });
  t.ok(rig.log.some((line) => line.includes('version 7')));
  queue.retain(({ epoch }) => epoch > 0);
  t.equal(rig.onFlash().length, 3);
  queue.retain(() => false);
  t.notOk(existsSync(spoolFolder(rig.stateDir)));
});
