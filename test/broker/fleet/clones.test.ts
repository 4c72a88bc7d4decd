import t from 'tap';
import { Instances } from '../../../broker/fleet/clones.ts';

const DEVICE = 'cam-abcdefghijklmnop';

t.test('one board that connects again and again is fine, restarts of its agent too', async (t) => {
  const instances = new Instances(() => 0);
  for (let run = 0; run < 100; run++)
    for (let connection = 0; connection < 50; connection++)
      if (instances.note(DEVICE, `run-${run}`, 'aa') !== 'fine') t.fail(`run ${run}`);
  t.equal(instances.size, 1);
});

t.test('a run that comes back after another is a second board', async (t) => {
  const instances = new Instances(() => 0);
  t.equal(instances.note(DEVICE, 'a', 'aa'), 'fine');
  t.equal(instances.note(DEVICE, 'b', 'aa'), 'fine');
  t.equal(instances.note('cam-other', 'a', 'bb'), 'fine', 'another device is not affected');
  t.equal(instances.note(DEVICE, 'a', 'aa'), 'clone');
  t.equal(instances.note(DEVICE, 'a', 'aa'), 'fine', 'known by its state from then on');
});

t.test('with a new certificate it begins anew', async (t) => {
  const instances = new Instances(() => 0);
  instances.note(DEVICE, 'agent', 'aa');
  t.equal(instances.note(DEVICE, 'claim', 'bb'), 'fine');
  t.equal(instances.note(DEVICE, 'agent', 'bb'), 'fine');
  t.equal(instances.note(DEVICE, 'claim', 'bb'), 'clone');
});

t.test('several clones that take turns are found', async (t) => {
  const instances = new Instances(() => 0);
  const found = Array.from({ length: 10 }, (_, at) => instances.note(DEVICE, `${at}`, 'aa'));
  t.same(new Set(found), new Set(['fine']));
  t.equal(instances.note(DEVICE, '0', 'aa'), 'clone');
});

t.test('runs made up so that the one pushed out is forgotten give themselves away', async (t) => {
  const instances = new Instances(() => 0);
  instances.note(DEVICE, 'camera', 'aa');
  for (let run = 0; run < 100; run++) instances.note(DEVICE, `thief-${run}`, 'aa');
  t.equal(instances.note(DEVICE, 'camera', 'aa'), 'clone', 'it is remembered');
  const found = Array.from({ length: 1025 }, (_, at) => instances.note(DEVICE, `${at}`, 'aa'));
  t.equal(found.indexOf('clone'), 1024, 'no agent starts so often');
});

t.test(
  'an agent that crashes for days is no clone, and costs no memory without an end',
  async (t) => {
    let nowMs = 0;
    const instances = new Instances(() => nowMs);
    for (let run = 0; run < 5000; run++) {
      nowMs += 2000;
      if (instances.note(DEVICE, `${run}`, 'aa') !== 'fine') t.fail(`run ${run}`);
    }
    t.equal(instances.note(DEVICE, '0', 'aa'), 'fine', 'forgotten by then');
  },
);
