// Everybody at once, as after a restart of the server: nobody who is good is refused for being slow.
import t from 'tap';
import { TestDevice, Witness } from '../../e2e/device.ts';
import { Gate } from './gate.ts';

t.setTimeout(180_000);
const DEVICES = 250;

t.test('all devices come in at once, though together they take longer than each may', async (t) => {
  const gate = await Gate.open(t);
  const watched = await gate.add('witness');
  await gate.grant(watched.deviceId, 'video');
  const witness = await Witness.begin(watched);
  const bundles = [];
  for (let i = 0; i < DEVICES; i++) bundles.push(await gate.add(`camera ${i}`));

  const startMs = performance.now();
  const coming = Promise.all(bundles.map((bundle) => TestDevice.tryConnect(bundle)));
  let isOver = false;
  const over = coming.then((devices) => {
    isOver = true;
    return devices;
  });
  let longestMs = 0;
  while (!isOver) {
    const sentMs = performance.now();
    t.ok(await witness.goesOn(), 'meanwhile another device publishes');
    longestMs = Math.max(longestMs, performance.now() - sentMs);
  }
  const devices = await over;
  const tookMs = performance.now() - startMs;
  t.comment(`${Math.round(tookMs)} ms for all, ${Math.round(longestMs)} ms for a segment at most`);
  const refused = devices.filter(({ connack }) => connack !== 0);
  t.equal(refused.length, 0, 'none is refused');
  t.match(gate.broker.figures().connections, { device: DEVICES + 1, handshake: 0 });
  for (const { socket } of devices) socket.destroy();
});
