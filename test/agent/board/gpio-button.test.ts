// A button on a GPIO line. The line is played by scripts in the place of gpiomon and gpioget, since
// a machine for tests has none; the tools of the system are tried on a chip that is not there.
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { eventually } from '../uplink/rig.ts';
import { watch } from './events.ts';

const button = { type: 'gpio', chip: 'gpiochip0', line: 17, activeLow: true } as const;

/** Prints what is appended to `edges`; busy like the real line while it is watched. */
const GPIOMON = `#!/bin/bash
here=$(dirname "$0")
if [ "$1" = --version ]; then echo "gpiomon (libgpiod) v$(cat "$here/version")"; exit; fi
echo "$@" >> "$here/monitored"
echo $$ > "$here/pid"
[ -s "$here/broken" ] && { cat "$here/broken" >&2; exit 1; }
exec tail -n 0 -s 0.05 --pid=$PPID -f "$here/edges"
`;
const GPIOGET = `#!/bin/bash
here=$(dirname "$0")
echo "$@" >> "$here/asked"
if [ -s "$here/pid" ] && kill -0 "$(cat "$here/pid")" 2>/dev/null; then echo "gpioget: busy" >&2; exit 1; fi
cat "$here/level"
`;

function line(t: Test, version: string, level: string, broken = '') {
  const dir = t.testdir({ edges: '', level, version, broken, gpiomon: GPIOMON, gpioget: GPIOGET });
  const [gpiomon, gpioget] = [join(dir, 'gpiomon'), join(dir, 'gpioget')];
  for (const tool of [gpiomon, gpioget]) chmodSync(tool, 0o755);
  const watched = watch(t, { button, gpioTools: { gpiomon, gpioget } });
  const read = (name: string): string =>
    existsSync(join(dir, name)) ? readFileSync(join(dir, name), 'utf8') : '';
  return {
    ...watched,
    read,
    /** The monitor stands. tail needs a moment until it has opened its file. */
    ready: async () => {
      await eventually('a monitor', () => read('monitored') !== '');
      await delay(500);
    },
    edge: (digit: string, now: string) => {
      writeFileSync(join(dir, 'level'), now);
      writeFileSync(join(dir, 'edges'), `${digit}\n`, { flag: 'a' });
    },
    set: (name: string, content: string) => writeFileSync(join(dir, name), content),
  };
}

t.test('a line that is held resets once, with the tools of either version', async (t) => {
  for (const [version, falling, wanted] of [
    ['1.6.3', '0', '--line-buffered --format=%e --active-low gpiochip0 17\n'],
    ['2.2.1', '2', '--edges=both --format=%e --active-low --chip=gpiochip0 17\n'],
  ] as const) {
    const { ready, edge, resets, read, stop } = line(t, version, '0');
    await ready();
    t.equal(read('monitored'), wanted);
    edge('1', '1');
    await delay(500);
    edge(falling, '0');
    await delay(1000);
    t.strictSame(resets, [], 'let go in time');
    edge('1', '1');
    await eventually('a reset', () => resets.length === 1);
    await delay(1800);
    t.equal(resets.length, 1, 'still held is no second hold');
    edge(falling, '0');
    await delay(300);
    edge('1', '1');
    await eventually('a second reset', () => resets.length === 2);
    await stop();
    const pid = Number(read('pid'));
    t.throws(() => process.kill(pid, 0), 'the line is free again');
  }
});

t.test('a line that sticks, or is wired the other way, resets nothing at a start', async (t) => {
  const { ready, edge, resets, says, log } = line(t, '1.6.3', '1');
  await says(/found pressed/);
  await ready();
  await delay(1800);
  t.strictSame(resets, []);
  edge('0', '0');
  await delay(300);
  edge('1', '1');
  await eventually('a reset', () => resets.length === 1);
  t.equal(log().split('found pressed').length, 2, 'told once');
});

t.test('a release that was missed is found out before anything is reset', async (t) => {
  const { ready, edge, set, resets, says } = line(t, '2.2.1', '0');
  await ready();
  edge('1', '1');
  set('level', '0');
  await says(/the button was let go/);
  t.strictSame(resets, []);
});

t.test('a monitor that ends is named once with its reason and started again', async (t) => {
  const reason = 'gpiomon: error waiting for events: Device or resource busy';
  const { set, says, log, ready, edge, resets, read } = line(t, '1.6.3', '0', reason);
  await says(/Device or resource busy/);
  await eventually('another attempt', () => read('monitored').split('\n').length > 2);
  set('broken', '');
  await eventually('a third', () => read('monitored').split('\n').length > 3);
  await ready();
  edge('1', '1');
  await eventually('a reset', () => resets.length === 1);
  t.equal(log().split('"level":40').length, 3, 'one warning, and one of the reset');
});

t.test('tools that are missing or too new, and a chip that is not there, are named', async (t) => {
  const missing = { gpiomon: '/nowhere/gpiomon', gpioget: '/nowhere/gpioget' };
  const none = watch(t, { button, gpioTools: missing });
  await none.says(/install the package gpiod/);
  await none.stop();
  await line(t, '9.0', '0').says(/of a version that is not known/);
  const real = watch(t, { button: { ...button, chip: 'gpiochip99' } });
  await real.says(/No such file or directory|install the package gpiod|cannot find/);
  await real.stop();
  t.strictSame(real.resets, []);
});
