// Events that wait beside the recordings: one message for each event, kept longest, under their own scope.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { spoolFolder } from '../../../agent/spool/folder.ts';
import { event, gap, hex, SECOND_US } from './captured.ts';
import { drain, Rig, told } from './rig.ts';

const over = { lasts: false, durationUs: 3 * SECOND_US, peak: 12 } as const;
const says = (name: string, what: 'begins' | 'over', kind = 'motion') =>
  `event ${kind} ${what} ${hex(name)}`;

t.test('an event takes its turn among what else waits', async (t) => {
  const { queue } = new Rig(t);
  queue.gap(gap('g', 0));
  queue.event(event('e', 1));
  queue.gap(gap('h', 5));
  t.same(await drain(queue), ['gap source_lost 0+1', says('e', 'begins'), 'gap source_lost 5+1']);
});

t.test('its end takes the place of its begin that waits', async (t) => {
  const { queue } = new Rig(t);
  queue.event(event('e', 0));
  queue.event(event('f', 1));
  queue.event(event('e', 0, over));
  t.equal(queue.held().items, 2);
  t.same(await drain(queue), [says('e', 'over'), says('f', 'begins')]);
});

t.test('its end is told once: a later one does not take its place', async (t) => {
  const { queue } = new Rig(t);
  queue.event(event('e', 0, over));
  queue.event(event('e', 0, { ...over, durationUs: 9 * SECOND_US }));
  const item = queue.next('live');
  t.equal(item?.kind === 'event' && item.event.durationUs, over.durationUs);
});

t.test('its end goes out even while its begin is under way', async (t) => {
  const { queue } = new Rig(t);
  queue.event(event('e', 0));
  const begin = queue.next('live');
  t.equal(told(begin), says('e', 'begins'));
  queue.event(event('e', 0, over));
  const end = queue.next('live');
  t.equal(told(end), says('e', 'over'));
  queue.free(begin?.id ?? 0);
  t.equal(queue.held().items, 1, 'that the begin was taken in says nothing of the end');
  queue.giveBackAll();
  t.same(await drain(queue), [says('e', 'over')]);
  t.equal(queue.held().items, 0);
});

t.test('where recordings have to wait, events go', async (t) => {
  const rig = new Rig(t);
  rig.capture(0, 2);
  rig.queue.event(event('e', 1));
  rig.capture(2, 3);
  t.equal(told(rig.queue.next('gaps')), says('e', 'begins'));
  t.equal(told(rig.queue.next('gaps')), 'nothing');
});

t.test('over a restart there is one record of it, and it says the end', async (t) => {
  const rig = new Rig(t);
  rig.queue.event(event('e', 0));
  await rig.settle(true);
  t.same(rig.onFlash(), ['1.event']);
  rig.queue.event(event('e', 0, over));
  await rig.settle(true);
  t.same(rig.onFlash(), ['1.event'], 'in the place of its begin');
  const again = rig.open();
  t.same(await drain(again), [says('e', 'over')]);
  t.same(rig.onFlash(), [], 'and is gone when the server has it');
});

t.test('a withdrawal erases events by their kind', async (t) => {
  const rig = new Rig(t);
  rig.queue.event(event('m', 0));
  rig.queue.event(event('s', 1, { kind: 'sound' }));
  rig.queue.event(event('p', 2, { kind: 'power_restored', lasts: false }));
  await rig.settle(true);
  t.same(rig.keys().sort(), ['audio', 'device_info', 'video']);
  t.ok(rig.queue.retain(({ scopes }) => !scopes.includes('audio')));
  t.same(rig.onFlash(), ['1.event', '3.event']);
  t.same(rig.keys().sort(), ['device_info', 'video']);
  t.ok(
    rig.queue.retain(({ part }) => part !== 'health'),
    'a policy that names less',
  );
  t.same(rig.onFlash(), ['1.event']);
  t.ok(rig.queue.retain(() => false));
  t.same([rig.onFlash(), rig.keys()], [[], []]);
  t.same(await drain(rig.queue), []);
  t.same(await drain(rig.open()), []);
});

t.test('the oldest go when there are too many, the recordings stay', async (t) => {
  const rig = new Rig(t);
  rig.capture(0, 1);
  for (let at = 0; at < 2010; at += 1) rig.queue.event(event(`e${at}`, at));
  t.equal(rig.queue.held().items, 2001);
  const seen = await drain(rig.queue);
  t.equal(seen[1], 'segment 0');
  t.equal(seen[2], says('e10', 'begins'));
  const lines = rig.log.filter((line) => line.includes('too many events wait'));
  t.equal(lines.length, 1);
});

t.test('events between lost segments do not part their gap', async (t) => {
  const rig = new Rig(t, { memoryBytes: 4500 });
  rig.capture(0, 1);
  rig.queue.event(event('e', 1));
  rig.capture(1, 8);
  const seen = await drain(rig.queue);
  t.same(seen.slice(0, 2), ['gap spool_full 0+4', says('e', 'begins')]);
});

t.test('of a damaged record of an event nothing is left, and no gap', async (t) => {
  const rig = new Rig(t);
  rig.queue.gap(gap('g', 0));
  rig.queue.event(event('e', 1));
  rig.queue.event(event('f', 2));
  await rig.settle(true);
  const folder = spoolFolder(rig.stateDir);
  const name = readdirSync(folder).find((one) => one.endsWith('2.event')) ?? '';
  const bytes = readFileSync(join(folder, name));
  for (const [at, damaged] of [
    bytes.subarray(0, 50),
    Buffer.concat([bytes.subarray(0, -1), Buffer.from([1])]),
  ].entries()) {
    writeFileSync(join(folder, name), damaged);
    const again = rig.open();
    const expected = ['gap source_lost 0+1', says('f', 'begins')];
    if (at === 0) t.equal(again.held().items, expected.length);
    else t.same(await drain(again), expected);
  }
  t.same(rig.onFlash(), []);
});
