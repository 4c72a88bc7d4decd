import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { JournalSender } from '../../../agent/journal/sender.ts';
import { MAX_BATCH_BYTES } from '../../../proto/log-batch.ts';
import { FakeLine, type Rig, rig } from './rig.ts';

interface Sending {
  readonly line: FakeLine;
  readonly end: () => Promise<void>;
  readonly has: (condition: () => boolean) => Promise<void>;
}

function sending(
  { journal, consent, log }: Rig,
  line = new FakeLine(),
  sender = new JournalSender({ journal, gate: consent.gate, log, intervalMs: 10 }),
): Sending {
  const stop = new AbortController();
  const running = sender.run(line, stop.signal);
  return {
    line,
    end: async () => {
      stop.abort();
      await running;
    },
    has: async (condition) => {
      while (!condition()) await sleep(5);
    },
  };
}

t.test('lines go in batches, each line once and in order', async (t) => {
  const parts = rig(t, { linesPerMinute: 1e6 });
  parts.consent.grant();
  for (let count = 0; count < 5000; count++) parts.log.info({ count }, 'a line of usual length');
  const { line, has, end } = sending(parts);
  const lines = () => line.batches.flatMap((batch) => batch.lines);
  await has(() => lines().length >= 5000);
  await end();
  t.same(
    lines().map((text) => JSON.parse(text).count),
    [...Array(5000).keys()],
  );
  t.ok(line.batches.length > 1, 'in more than one batch');
  for (const { lines, firstAtUs, lastAtUs, epoch } of line.batches) {
    t.ok(Buffer.byteLength(lines.join('\n')) <= MAX_BATCH_BYTES);
    t.ok(firstAtUs <= lastAtUs);
    t.equal(epoch, parts.consent.epoch);
  }
});

t.test('a batch that was not acknowledged is sent again by the same id', async (t) => {
  const parts = rig(t);
  parts.consent.grant();
  parts.log.info('one');
  const line = new FakeLine();
  line.failures = 2;
  const { has, end } = sending(parts, line);
  await has(() => line.payloads.length >= 3);
  await end();
  const [first, second, third] = line.payloads;
  t.same(second, first);
  t.same(third, first);
});

t.test('a batch that waits for a connection is not sent once consent has ended', async (t) => {
  const parts = rig(t);
  parts.consent.grant();
  parts.log.info('under the first consent');
  const broken = new FakeLine();
  broken.failures = 1;
  const { journal, consent, log } = parts;
  const sender = new JournalSender({ journal, gate: consent.gate, log, intervalMs: 10_000 });
  const first = sending(parts, broken, sender);
  await first.has(() => broken.payloads.length === 1);
  await first.end();
  consent.withdraw();
  consent.grant();
  log.info('under the second one');
  const second = sending(parts, new FakeLine(), sender);
  await second.has(() => second.line.payloads.length > 0);
  await second.end();
  const said = second.line.batches.flatMap(({ lines }) => lines).join();
  t.match(said, 'under the second one');
  t.notMatch(said, 'under the first consent');
});

t.test('what is under way is told, so that a withdrawal can cut it off', async (t) => {
  const { journal, consent, log } = rig(t);
  consent.grant();
  log.info('under way');
  const sender = new JournalSender({ journal, gate: consent.gate, log, intervalMs: 5 });
  t.equal(sender.underWay(), null);
  const broken = Promise.withResolvers<void>();
  const line = { publish: () => broken.promise, reconnect: () => undefined };
  const stop = new AbortController();
  const running = sender.run(line, stop.signal);
  t.same(sender.underWay(), { epoch: consent.epoch, scopes: ['device_log'] });
  stop.abort();
  broken.reject(new Error('the line was cut'));
  await running;
  t.equal(sender.underWay(), null);
});

t.test('while a lease is overdue lines wait, and go with its renewal', async (t) => {
  const parts = rig(t);
  parts.consent.grant();
  parts.log.info('in time');
  parts.consent.isOverdue = true;
  parts.log.info('without a lease');
  const { line, has, end } = sending(parts);
  await sleep(50);
  t.equal(line.payloads.length, 0);
  parts.consent.isOverdue = false;
  await has(() => line.payloads.length > 0);
  await end();
  const said = line.batches.flatMap(({ lines }) => lines.map((text) => JSON.parse(text).msg));
  t.same(said, ['in time']);
});

t.test('an error does not wait for its turn', async (t) => {
  const parts = rig(t);
  parts.consent.grant();
  const { journal, consent, log } = parts;
  const sender = new JournalSender({ journal, gate: consent.gate, log, intervalMs: 60_000 });
  const { line, has, end } = sending(parts, new FakeLine(), sender);
  const deadline = AbortSignal.timeout(20_000);
  parts.log.error('it failed');
  await Promise.race([has(() => line.payloads.length > 0), once(deadline, 'abort')]);
  await end();
  t.match(line.batches.flatMap(({ lines }) => lines).join(), 'it failed');
});
