// The connection against real TLS: whom it trusts, how it comes back, how it ends.

import { once } from 'node:events';
import { createServer } from 'node:net';
import t from 'tap';
import { backoffMs } from '../../../agent/uplink/backoff.ts';
import { DEVICE } from '../consent/grants.ts';
import { makePair } from './pki.ts';
import { eventually, fill, makeRig, other, type Rig, type RigOptions } from './rig.ts';

t.jobs = 4;

async function rigFor(t: Tap, options: Omit<RigOptions, 'stateDir'> = {}) {
  const rig = await makeRig({ stateDir: t.testdir(), ...options });
  t.teardown(() => rig.end());
  return rig;
}
interface Tap {
  testdir(): string;
  teardown(end: () => Promise<void>): void;
}

const failures = ({ lines }: Rig) =>
  lines.filter(({ nextAttemptMs }) => nextAttemptMs !== undefined);

t.test('a server of another authority gets not one byte of MQTT', async (t) => {
  const pair = await makePair(other, 'server', { type: 'dns', value: 'localhost' });
  const rig = await rigFor(t, { pair });
  fill(rig, 1);
  rig.start();
  await eventually('three attempts', () => failures(rig).length >= 3);
  t.equal(rig.server.bytes, 0);
  t.match(failures(rig)[0], { code: 'UPLINK_LOST', msg: /not the right server/ });
});

t.test('nor does one of the authority under another name', async (t) => {
  const rig = await rigFor(t, { identity: { host: '127.0.0.1' } });
  rig.start();
  await eventually('two attempts', () => failures(rig).length >= 2);
  t.equal(rig.server.bytes, 0);
  t.match(failures(rig)[0], { msg: /ERR_TLS_CERT_ALTNAME_INVALID/ });
});

t.test('a certificate that the server does not know is named as the cause', async (t) => {
  const rig = await rigFor(t, { identity: await makePair(other, DEVICE) });
  rig.start();
  await eventually('two attempts', () => failures(rig).length >= 2);
  t.match(failures(rig)[0]?.msg, /certificate/);
  t.equal(rig.server.received.length, 0);
});

t.test('failures are told three times, then only to developers', async (t) => {
  const rig = await rigFor(t);
  rig.server.close();
  rig.start();
  await eventually('six attempts', () => failures(rig).length >= 6);
  const levels = failures(rig).map(({ level }) => level);
  t.same(levels.slice(0, 6), [40, 40, 40, 20, 20, 20]);
  t.match(failures(rig)[0], { code: 'UPLINK_LOST', msg: /ECONNREFUSED/ });
  t.ok((await rig.stop()) < 1000, 'and a stop does not wait');
});

t.test('a server that does not answer at all is given up after the time to connect', async (t) => {
  const deaf = createServer((socket) => socket.on('error', () => undefined));
  deaf.listen(0, '127.0.0.1');
  await once(deaf, 'listening');
  const address = deaf.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const rig = await rigFor(t, { config: { connectTimeoutMs: 200 }, identity: { port } });
  rig.start();
  await eventually('two attempts', () => failures(rig).length >= 2);
  t.match(failures(rig)[0], { code: 'UPLINK_LOST', msg: /no TLS connection within 200 ms/ });
  await rig.stop();
  deaf.close();
});

t.test('a missing acknowledgement ends the connection, and the item comes again', async (t) => {
  let isDeaf = true;
  const rig = await rigFor(t, {
    config: { ackTimeoutMs: 200 },
    onPublish: ({ noun, ack }) => {
      if (noun !== 'segment' || !isDeaf) ack();
      else isDeaf = false;
    },
  });
  fill(rig, 1);
  rig.start();
  await eventually('sent', () => rig.spool.held().items === 0);
  t.equal(rig.server.connections, 2);
  t.match(failures(rig)[0], { msg: /no acknowledgement within 200 ms/ });
});

t.test('a stop first sends what waits', async (t) => {
  const rig = await rigFor(t, { onPublish: ({ ack }) => setTimeout(ack, 10) });
  rig.start();
  await eventually('connected', () => rig.server.received.length > 0);
  fill(rig, 10);
  t.ok((await rig.stop()) < 3000);
  t.equal(rig.spool.held().items, 0);
  t.equal(rig.server.nouns().filter((noun) => noun === 'segment').length, 10);
});

t.test('a stop does not wait longer than it may', async (t) => {
  const rig = await rigFor(t, { config: { drainTimeoutMs: 300 }, onPublish: () => undefined });
  fill(rig, 3);
  rig.start();
  await eventually('sent', () => rig.server.nouns().includes('stream'));
  const tookMs = await rig.stop();
  t.ok(tookMs >= 290 && tookMs < 2500, `${tookMs} ms`);
  t.equal(rig.spool.held().items, 3, 'nothing is forgotten');
});

t.test('a stop with nothing to send is quick', async (t) => {
  const rig = await rigFor(t);
  rig.start();
  await eventually('connected', () => rig.server.nouns().includes('applied'));
  t.ok((await rig.stop()) < 1000);
});

t.test('waits grow from the minimum to the maximum, with full jitter', async (t) => {
  const range = { backoffMinMs: 1000, backoffMaxMs: 60_000 };
  const most = [0, 1, 2, 5, 6, 7, 5000].map((attempt) => backoffMs(attempt, range, () => 1));
  t.same(most, [1000, 2000, 4000, 32_000, 60_000, 60_000, 60_000]);
  t.equal(
    backoffMs(3, range, () => 0),
    0,
  );
  t.equal(
    backoffMs(0, range, () => 0.25),
    250,
  );
});
