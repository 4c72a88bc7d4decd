// A key of the input system, played by a pipe through which real events come.
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { eventually } from '../uplink/rig.ts';
import { keyEvent, watch } from './events.ts';

const KEY = 408;

function key(t: Test) {
  const device = join(t.testdir({}), 'event0');
  execFileSync('mkfifo', [device]);
  // For reading as well, so that it opens at once.
  let fd = openSync(device, constants.O_RDWR);
  const watched = watch(t, { button: { type: 'input', device, keyCode: KEY } });
  return {
    ...watched,
    device,
    send: (...events: readonly Buffer[]) => writeSync(fd, Buffer.concat(events)),
    unplug: () => closeSync(fd),
    plug: () => {
      fd = openSync(device, constants.O_RDWR);
    },
  };
}

t.test('a key that is held resets once, and again only after another press', async (t) => {
  const { send, resets } = key(t);
  const pressedMs = performance.now();
  send(keyEvent(KEY, 1), keyEvent(0, 0, { type: 0 }));
  for (let at = 0; at < 16; at += 1) {
    send(keyEvent(KEY, 2));
    await delay(100);
  }
  t.equal(resets.length, 1);
  t.ok((resets[0] ?? 0) - pressedMs >= 1000, 'not before its time');
  for (let at = 0; at < 15; at += 1) {
    send(keyEvent(KEY, 2));
    await delay(100);
  }
  t.equal(resets.length, 1, 'still held is no second hold');
  send(keyEvent(KEY, 0), keyEvent(KEY, 1));
  await eventually('a second reset', () => resets.length === 2);
});

t.test('a key that is found repeating when the agent starts has to be let go first', async (t) => {
  const { send, resets, says } = key(t);
  for (let at = 0; at < 18; at += 1) {
    send(keyEvent(KEY, 2));
    await delay(100);
  }
  await says(/found pressed/);
  t.strictSame(resets, []);
  send(keyEvent(KEY, 0), keyEvent(KEY, 1));
  await eventually('a reset', () => resets.length === 1);
});

t.test('a key that is let go in time, another key, or lost events reset nothing', async (t) => {
  const { send, resets } = key(t);
  for (const [during, after] of [
    [keyEvent(KEY, 1), keyEvent(KEY, 0)],
    [keyEvent(KEY - 1, 1), keyEvent(KEY - 1, 0)],
    [keyEvent(KEY, 1), keyEvent(3, 0, { type: 0 })],
  ] as const) {
    send(during);
    await delay(700);
    send(after);
    await delay(800);
  }
  t.strictSame(resets, []);
});

t.test('events that come in pieces are put together', async (t) => {
  const { send, resets } = key(t);
  const press = keyEvent(KEY, 1);
  send(press.subarray(0, 5));
  await delay(150);
  send(press.subarray(5, 20));
  await delay(150);
  send(press.subarray(20));
  await eventually('a reset', () => resets.length === 1);
});

t.test(
  'a device that vanishes while the key is held was not held, and is opened again',
  async (t) => {
    const { send, resets, unplug, plug, says, log } = key(t);
    send(keyEvent(KEY, 1));
    await delay(300);
    unplug();
    await says(/has come to its end/);
    plug();
    await delay(2000);
    t.strictSame(resets, []);
    send(keyEvent(KEY, 1));
    await eventually('a reset', () => resets.length === 1);
    t.equal(log().split('cannot be watched').length, 2);
  },
);

t.test('a device that is missing is named once and waited for', async (t) => {
  const device = join(t.testdir({}), 'event7');
  const { says, log, resets, stop } = watch(t, { button: { type: 'input', device, keyCode: KEY } });
  await says(/ENOENT.*event7/);
  await eventually('a second attempt', () => log().split('cannot be watched').length > 2);
  t.equal(log().split('"level":40').length, 2, 'one warning');
  execFileSync('mkfifo', [device]);
  const fd = openSync(device, constants.O_RDWR);
  t.teardown(() => closeSync(fd));
  writeSync(fd, keyEvent(KEY, 1));
  await eventually('a reset', () => resets.length === 1);
  const beginMs = performance.now();
  await stop();
  t.ok(performance.now() - beginMs < 500, 'a stop does not wait for a key');
});

t.test('a device that never stops talking does not hold up the agent', async (t) => {
  const { resets, stop } = watch(t, {
    button: { type: 'input', device: '/dev/zero', keyCode: KEY },
  });
  const beginMs = performance.now();
  await delay(300);
  t.ok(performance.now() - beginMs < 1000);
  await stop();
  t.strictSame(resets, []);
});
