import t from 'tap';
import { Instances } from '../../../broker/fleet/clones.ts';

const DEVICE = 'cam-abcdefghijklmnop';

t.test('one board that connects again and again is fine, restarts of its agent too', async (t) => {
  const instances = new Instances();
  for (let run = 0; run < 100; run++)
    for (let connection = 0; connection < 50; connection++)
      if (instances.note(DEVICE, `run-${run}`, 'aa') !== 'fine') t.fail(`run ${run}`);
  t.equal(instances.size, 1);
});

t.test('a run that comes back after another is a second board', async (t) => {
  const instances = new Instances();
  t.equal(instances.note(DEVICE, 'a', 'aa'), 'fine');
  t.equal(instances.note(DEVICE, 'b', 'aa'), 'fine');
  t.equal(instances.note('cam-other', 'a', 'bb'), 'fine', 'another device is not affected');
  t.equal(instances.note(DEVICE, 'a', 'aa'), 'clone');
  t.equal(instances.note(DEVICE, 'a', 'aa'), 'fine', 'known by its state from then on');
});

t.test('with a new certificate it begins anew', async (t) => {
  const instances = new Instances();
  instances.note(DEVICE, 'agent', 'aa');
  t.equal(instances.note(DEVICE, 'claim', 'bb'), 'fine');
  t.equal(instances.note(DEVICE, 'agent', 'bb'), 'fine');
  t.equal(instances.note(DEVICE, 'claim', 'bb'), 'clone');
});

t.test('several clones that take turns are found', async (t) => {
  const instances = new Instances();
  const found = Array.from({ length: 10 }, (_, at) => instances.note(DEVICE, `${at}`, 'aa'));
  t.same(new Set(found), new Set(['fine']));
  t.equal(instances.note(DEVICE, '0', 'aa'), 'clone');
});
