import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { Turnstile } from '../../../broker/mqtt/turnstile.ts';
import { eventually } from '../../e2e/processes.ts';

t.setTimeout(60_000);

/** A turnstile with four places behind a real listener. */
async function setup(t: Test) {
  const entered: { socket: Socket; done: () => void }[] = [];
  const enter = (socket: Socket, done: () => void): void => void entered.push({ socket, done });
  const turnstile = new Turnstile({ places: 4, silenceMs: 300, enter });
  const heard = new Set<Socket>();
  const server = createServer((socket) => {
    turnstile.queue(socket);
    socket.once('readable', () => heard.add(socket));
    socket.once('close', () => heard.delete(socket));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const open = (says: string, localAddress = '127.0.0.1'): Socket => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    socket.on('error', () => undefined).resume();
    t.teardown(() => socket.destroy());
    if (says !== '') socket.write(says);
    return socket;
  };
  t.teardown(() => {
    for (const { socket } of entered) socket.destroy();
    server.close();
  });
  /** Waits until so many are open that have said something. */
  const hears = (count: number): Promise<void> =>
    eventually(`${count} heard`, () => heard.size === count);
  return { entered, open, hears };
}

t.test('who says nothing takes no place and is let go', async (t) => {
  const { entered, open } = await setup(t);
  const silent = Array.from({ length: 20 }, () => open(''));
  open('hello');
  await eventually('one is in', () => entered.length === 1);
  await eventually('the others are gone', () => silent.every(({ destroyed }) => destroyed), 3000);
  t.equal(entered.length, 1);
  t.equal(entered[0]?.socket.read()?.toString(), 'hello', 'nothing of what it said is lost');
});

t.test('no address has more than half of the places', async (t) => {
  const { entered, open } = await setup(t);
  for (let i = 0; i < 10; i++) open('x');
  await eventually('two are in', () => entered.length === 2);
  open('y', '127.0.0.2');
  await eventually('another address comes in', () => entered.length === 3);
  t.equal(entered[2]?.socket.remoteAddress, '127.0.0.2');
  entered[0]?.done();
  entered[0]?.done();
  await eventually('one more of the first', () => entered.length === 4);
  entered[1]?.socket.destroy();
  await eventually('and for one that is over', () => entered.length === 5);
});

t.test('who stalls inside gives its place back', async (t) => {
  const { entered, open } = await setup(t);
  const startMs = performance.now();
  for (let i = 0; i < 8; i++) open('x');
  await eventually('all are in', () => entered.length === 8);
  const tookMs = performance.now() - startMs;
  t.ok(tookMs > 5500, `two at a time, for two seconds each: ${Math.round(tookMs)} ms`);
  t.ok(
    entered.every(({ socket }) => !socket.destroyed),
    'it is not ended by that',
  );
});

t.test('who has left while it waited takes no place, and the newest comes first', async (t) => {
  const { entered, open, hears } = await setup(t);
  const inside = [open('x'), open('x')];
  await eventually('two are in', () => entered.length === 2);
  const left = open('left');
  await hears(3);
  const older = open('older');
  await hears(4);
  // What a board says first may come in two pieces.
  const newer = open('new');
  await hears(5);
  newer.write('er');
  left.end();
  await hears(4);
  t.notOk(older.destroyed || newer.destroyed, 'the others wait on');
  for (const socket of inside) socket.destroy();
  await eventually('two more are in', () => entered.length === 4);
  const said = ['', ''];
  await eventually('nothing of what they said is lost, the newest comes first', () => {
    for (const [i, { socket }] of entered.slice(2).entries()) said[i] += socket.read() ?? '';
    return said.join() === 'newer,older';
  });
  t.equal(entered.length, 4, 'nobody else');
});
