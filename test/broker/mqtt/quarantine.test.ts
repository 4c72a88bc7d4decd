// Boards without an identity at the gate: they get one, and can do nothing else.
import { hash, KeyObject, randomBytes } from 'node:crypto';
import t from 'tap';
import { makeRequest } from '../../../agent/identity/csr.ts';
import { claimIdOf, encodeClaimRequest } from '../../../proto/claim.ts';
import { encodeLabelCode } from '../../../proto/setup-code.ts';
import { claimTopic, downTopic, type Exchange, upTopic } from '../../../proto/topics.ts';
import { makeAuthority } from '../../agent/uplink/pki.ts';
import { connectPacket, TestDevice, tls } from '../../e2e/device.ts';
import { eventually } from '../../e2e/processes.ts';
import { Gate, newKey, Stranger } from './gate.ts';

t.setTimeout(180_000);

const madeUp = (): { exchange: Exchange; secret: Buffer } => {
  const secret = randomBytes(16);
  return { exchange: { kind: 'claim', claimId: claimIdOf(secret) }, secret };
};

t.test('a board with a setup code gets an identity, before its PUBACK', async (t) => {
  const gate = await Gate.open(t);
  const { exchange, secret } = await gate.newCode();
  const board = await Stranger.come(gate, exchange);
  t.equal(board.device.connack, 0);
  t.strictSame(await board.listen(), [1]);
  const key = newKey();
  const { outcome, before } = await board.ask(secret, key);
  t.equal(outcome, 'acked');
  t.match(before, [{ kind: 'answer', answer: { kind: 'issued' } }]);
  const [answer] = board.answers;
  if (answer?.kind !== 'issued') throw new Error('not issued');
  t.match(gate.broker.figures(), { connections: { quarantine: 1 }, claims: { issued: 1 } });
  await board.device.close();

  const privateKey = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const bundle = { ...answer, version: 1, privateKey, previous: null } as const;
  const device = await TestDevice.connect(bundle);
  t.match(await gate.row(answer.deviceId), { state: 'claimed' });
  await eventually('it hears what its owner consents to', () => device.epoch > 0);
  const again = await Stranger.come(gate, exchange);
  await again.ask(secret);
  t.match(again.answers, [{ code: 'CLAIM_USED' }]);
  t.match(gate.broker.figures().connections, { device: 1 });
});

t.test('it hears its own answer, and nothing else', async (t) => {
  const gate = await Gate.open(t);
  const camera = await gate.add('camera');
  const [mine, other] = [await gate.newCode(), await gate.newCode()];
  const board = await Stranger.come(gate, mine.exchange);
  for (const filter of [
    '#',
    'lenscap/1/claim/#',
    'lenscap/1/claim/+/answer',
    `$share/g/${claimTopic(mine.exchange, 'answer')}`,
    claimTopic(mine.exchange, 'request'),
    claimTopic(other.exchange, 'answer'),
    downTopic(camera.deviceId, 'grant'),
    upTopic(camera.deviceId, 'segment'),
  ])
    t.strictSame(await board.device.subscribe(filter), [0x80], filter);
  t.strictSame(await board.listen(), [1]);
  const stranger = await Stranger.come(gate, other.exchange);
  await stranger.listen();
  await stranger.ask(other.secret);
  t.match(stranger.answers, [{ kind: 'issued' }]);
  t.strictSame(board.answers, [], 'nothing of the other');
});

t.test('it asks in its own name, and publishes nothing else', async (t) => {
  const gate = await Gate.open(t);
  const camera = await gate.add('camera');
  const epoch = await gate.grant(camera.deviceId, 'video');
  const [mine, other] = [await gate.newCode(), await gate.newCode()];
  const topics = [
    upTopic(camera.deviceId, 'stream'),
    upTopic(camera.deviceId, 'released'),
    downTopic(camera.deviceId, 'grant'),
    claimTopic(mine.exchange, 'answer'),
    claimTopic(other.exchange, 'request'),
    '$SYS/x',
  ];
  for (const topic of topics) {
    const board = await Stranger.come(gate, mine.exchange);
    t.match(await board.device.publishTo(topic, Buffer.alloc(10)), { outcome: 'closed' }, topic);
  }
  const request = claimTopic(mine.exchange, 'request');
  for (const how of [{ qos: 0 }, { qos: 2 }, { retain: true }] as const) {
    const board = await Stranger.come(gate, mine.exchange);
    const sent = board.device.publishTo(request, Buffer.alloc(10), how);
    t.match(await sent, { outcome: 'closed' }, JSON.stringify(how));
  }
  t.match(await gate.row(camera.deviceId), { state: 'configured', epoch });
});

t.test('large packets, many requests and a flood end the connection', async (t) => {
  const gate = await Gate.open(t, { claims: { failuresPerMinutePerAddress: 1000 } });
  const { exchange } = madeUp();
  const large = await Stranger.come(gate, exchange);
  t.match(await large.send(Buffer.alloc(9000)), { outcome: 'closed' }, 'a request of 9 KB');
  await gate.says('the limit is 8192');
  const wide = await Stranger.come(gate, exchange);
  const filters = Array.from({ length: 40 }, () => claimTopic(exchange, 'answer'));
  t.strictSame(await wide.device.subscribe(...filters), [], 'a SUBSCRIBE of 2 KB');

  const many = await Stranger.come(gate, exchange);
  for (let i = 0; i < 5; i++)
    t.match(await many.send(Buffer.from('garbage')), { outcome: 'acked' }, `request ${i}`);
  t.equal(many.answers.length, 5);
  t.match(many.answers, [{ kind: 'refused', code: 'DECODE_INVALID', retryAfterS: 0 }]);
  t.match(await many.send(Buffer.from('garbage')), { outcome: 'closed' }, 'the sixth');

  const flood = await Stranger.come(gate, exchange);
  for (let i = 0; i < 20; i++) flood.device.send({ cmd: 'pingreq' });
  await flood.device.closed;
});

t.test('who says nothing is let go', async (t) => {
  const gate = await Gate.open(t);
  const { exchange } = await gate.newCode();
  const silent = await Stranger.come(gate, exchange);
  const busy = await Stranger.come(gate, exchange);
  const ping = setInterval(() => busy.device.send({ cmd: 'pingreq' }), 500);
  t.teardown(() => clearInterval(ping));
  const startMs = performance.now();
  await Promise.all([silent.device.closed, busy.device.closed]);
  const tookMs = performance.now() - startMs;
  t.ok(tookMs > 8000 && tookMs < 12_000, `after ${Math.round(tookMs)} ms, busy or not`);
  await eventually('none is left', () => gate.broker.figures().connections.quarantine === 0);
});

t.test('only so many wait at a time, and devices come in meanwhile', async (t) => {
  const gate = await Gate.open(t, { claims: { maxConnections: 3 } });
  const camera = await gate.add('camera');
  const guests: Stranger[] = [];
  for (let i = 0; i < 3; i++) guests.push(await Stranger.come(gate, madeUp().exchange));
  const { exchange, secret } = await gate.newCode();
  const late = await Stranger.come(gate, exchange);
  await late.device.closed;
  t.equal(late.device.connack, 3, 'come again later');
  await TestDevice.connect(camera);
  await guests[0]?.device.close();
  await eventually('one is gone', () => gate.broker.figures().connections.quarantine === 2);
  const again = await Stranger.come(gate, exchange);
  await again.ask(secret);
  t.match(again.answers, [{ kind: 'issued' }]);
  t.match(gate.broker.figures().refusals, { busy: 1 });
});

t.test('one address that holds every place makes room for a board from elsewhere', async (t) => {
  const gate = await Gate.open(t, { claims: { maxConnections: 4 } });
  const crowd: Stranger[] = [];
  for (let i = 0; i < 4; i++) crowd.push(await Stranger.come(gate, madeUp().exchange));
  const { exchange, secret } = await gate.newCode();
  const board = await Stranger.come(gate, exchange, { localAddress: '127.0.0.2' });
  await board.listen();
  await board.ask(secret);
  t.match(board.answers, [{ kind: 'issued' }]);
  await crowd[0]?.device.closed;
  t.notOk(crowd[1]?.device.isClosed, 'only the one that was there longest');
  t.equal(gate.broker.figures().connections.quarantine, 4);
});

t.test('two boards of one name do not push each other out', async (t) => {
  const gate = await Gate.open(t);
  const exchange: Exchange = { kind: 'board', serial: 'S1' };
  const first = await Stranger.come(gate, exchange);
  const second = await Stranger.come(gate, exchange);
  await second.listen();
  t.notOk(first.device.isClosed);
  t.strictSame(await first.listen(), [1]);
});

t.test('an address that fails too often has to wait', async (t) => {
  const gate = await Gate.open(t, { claims: { failuresPerMinutePerAddress: 7 } });
  for (let tries = 0; tries < 7; ) {
    const { exchange } = madeUp();
    const board = await Stranger.come(gate, exchange);
    for (; tries < 7 && board.answers.length < 4; tries++) await board.ask(randomBytes(16));
    t.ok(board.answers.every((answer) => 'code' in answer && answer.code === 'CLAIM_REFUSED'));
    if (tries === 7) {
      await board.ask(randomBytes(16));
      t.match(board.answers.at(-1), { code: 'RATE_LIMITED' });
    }
  }
  const { exchange } = await gate.newCode();
  const late = await Stranger.come(gate, exchange);
  await late.device.closed;
  t.equal(late.device.connack, 3);
  t.match(gate.broker.figures(), { refusals: { limited: 1 }, claims: { CLAIM_REFUSED: 7 } });
});

t.test('all together ask only so often', async (t) => {
  const gate = await Gate.open(t, { claims: { attemptsPerMinute: 3 } });
  const { exchange, secret } = await gate.newCode();
  const noise = await Stranger.come(gate, madeUp().exchange);
  for (let i = 0; i < 3; i++) await noise.ask(randomBytes(16));
  const board = await Stranger.come(gate, exchange);
  t.match(await board.ask(secret), { outcome: 'acked' });
  const [answer] = board.answers;
  t.match(answer, { kind: 'refused', code: 'RATE_LIMITED' });
  t.ok(answer?.kind === 'refused' && answer.retryAfterS > 0 && answer.retryAfterS <= 60);
});

t.test('an enrolled board is known by its key, shown in TLS', async (t) => {
  const gate = await Gate.open(t);
  const { boards, claims } = gate.installation;
  const [factory, thief] = await Promise.all([selfSigned('S1'), selfSigned('S1')]);
  const row = { serial: 'S1', model: 'one', keySha256: factory.keySha256 };
  await boards.enroll([row]);
  const exchange: Exchange = { kind: 'board', serial: 'S1' };
  const request = () =>
    encodeClaimRequest({ csr: makeRequest(newKey()), proof: Buffer.alloc(0), deviceId: null });

  for (const [identity, code] of [
    [factory, 'CLAIM_WAITING'],
    [thief, 'CLAIM_REFUSED'],
    [{}, 'CLAIM_REFUSED'],
  ] as const) {
    const board = await Stranger.come(gate, exchange, identity);
    await board.send(request());
    t.match(board.answers, [{ code }]);
  }
  const keyFingerprint = Buffer.from(factory.keySha256, 'hex');
  const label = encodeLabelCode({ serial: 'S1', keyFingerprint });
  await claims.claimBoard(gate.accountId, { label, name: 'hall' });
  const board = await Stranger.come(gate, exchange, factory);
  await board.send(request());
  t.match(board.answers, [{ kind: 'issued' }]);
});

t.test('a name that is neither a claim nor a serial number is not let in', async (t) => {
  const gate = await Gate.open(t);
  const { exchange } = await gate.newCode();
  const camera = await gate.add('camera');
  const over = { key: undefined, cert: undefined };
  for (const id of ['claim-x', 'serial-', `serial-${'x'.repeat(65)}`, 'serial-a/b', 'x', '#']) {
    const device = await TestDevice.tryConnect(camera, { over, packet: connectPacket(id) });
    await device.closed;
    t.equal(device.connack, 5, id);
  }
  const socket = tls(camera, over);
  const mute = new TestDevice(socket, 'mute');
  t.match(await mute.publishTo(claimTopic(exchange, 'request'), Buffer.alloc(1)), {
    outcome: 'closed',
  });
  t.equal(mute.connack, undefined, 'without CONNECT');
});

/** The identity that a maker gives a board. */
async function selfSigned(name: string): Promise<{ key: string; cert: string; keySha256: string }> {
  const { pem, keys } = await makeAuthority(name);
  const key = KeyObject.from(keys.privateKey);
  const spki = KeyObject.from(keys.publicKey).export({ type: 'spki', format: 'der' });
  return {
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: pem,
    keySha256: hash('sha256', spki),
  };
}
