// The indicator light. Lights of the kernel are folders of real files in the place of /sys/class/leds,
// a GPIO line is a script in the place of gpioset, since a machine for tests has neither.
import { chmodSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { GpioLamp } from '../../../agent/board/gpio-lamp.ts';
import type { Lamp } from '../../../agent/board/lamp.ts';
import { LedLamp } from '../../../agent/board/led-lamp.ts';
import { Light, lampOf } from '../../../agent/board/light.ts';
import type { LenscapError } from '../../../proto/errors.ts';
import { eventually } from '../uplink/rig.ts';

function lightOn(t: Test, lamp: Lamp | null, percent = 100) {
  const failures: LenscapError[] = [];
  const said: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => said.push(line) });
  const light = new Light({
    lamp,
    log,
    brightnessPercent: () => percent,
    onFailed: (error) => failures.push(error),
  });
  t.teardown(() => light.close());
  return { light, failures, said };
}

function led(t: Test) {
  const folder = t.testdir({
    trigger: 'none [mmc0]\n',
    brightness: '7\n',
    max_brightness: '255\n',
  });
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8').trim();
  return { folder, read, lamp: new LedLamp(folder) };
}

t.test('a light of the kernel is freed from its trigger, set, and dimmed', async (t) => {
  const { lamp, read } = led(t);
  const { light, said } = lightOn(t, lamp, 50);
  await light.show('on');
  t.equal(read('trigger'), 'none');
  t.equal(read('brightness'), '128');
  await light.show('off');
  t.equal(read('brightness'), '0');
  t.match(said.join(''), /"light":"on"[\s\S]*"light":"off"/);
});

t.test('breathing and blinking go on until another state is shown', async (t) => {
  const { lamp, read } = led(t);
  const { light } = lightOn(t, lamp);
  for (const state of ['breathing', 'blinking'] as const) {
    await light.show(state);
    const seen = new Set<string>();
    await eventually(`${state} changes`, () => seen.add(read('brightness')).size >= 2);
  }
  await light.close();
  t.equal(read('brightness'), '0');
});

t.test('a light that cannot be set is not said to be', async (t) => {
  const { lamp, folder } = led(t);
  const { light, said } = lightOn(t, lamp);
  rmSync(join(folder, 'max_brightness'));
  await t.rejects(light.show('on'), { code: 'LIGHT_FAILED', message: /max_brightness/ });
  t.notMatch(said.join(''), /"light":"on"/);
  writeFileSync(join(folder, 'max_brightness'), 'bright\n');
  await t.rejects(light.show('on'), { code: 'LIGHT_FAILED', message: /no number/ });
  writeFileSync(join(folder, 'max_brightness'), '1\n');
  await light.show('on');
  t.equal(readFileSync(join(folder, 'brightness'), 'utf8'), '1\n', 'tried again, it is set');
});

t.test('a driver that takes a value and does not keep it has not been set', async (t) => {
  const { folder } = led(t);
  rmSync(join(folder, 'brightness'));
  // What is written to the null device is gone.
  symlinkSync('/dev/null', join(folder, 'brightness'));
  const { light } = lightOn(t, new LedLamp(folder));
  await t.rejects(light.show('on'), { code: 'LIGHT_FAILED', message: /is 0, not 255/ });
});

t.test('a light that fails while it shines is told', async (t) => {
  const { lamp, folder } = led(t);
  const { light, failures } = lightOn(t, lamp);
  await light.show('blinking');
  rmSync(folder, { recursive: true });
  await eventually('the failure', () => failures.length > 0);
  t.equal(failures[0]?.code, 'LIGHT_FAILED');
});

const GPIOSET = `#!/bin/bash
here=$(dirname "$0")
if [ "$1" = --version ]; then echo "gpioset (libgpiod) v$(cat "$here/version")"; exit; fi
[ -s "$here/broken" ] && { cat "$here/broken" >&2; exit 1; }
echo "$@" >> "$here/set"
echo $$ > "$here/pid"
exec sleep 60
`;

function gpio(t: Test, version: string) {
  const folder = t.testdir({ version, broken: '', gpioset: GPIOSET });
  const gpioset = join(folder, 'gpioset');
  chmodSync(gpioset, 0o755);
  const config = { type: 'gpio', chip: 'gpiochip0', line: 4, activeLow: true } as const;
  const read = (name: string): string =>
    existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : '';
  const isHeld = (): boolean => existsSync(`/proc/${read('pid').trim()}/exe`);
  return { folder, read, isHeld, lamp: new GpioLamp(config, gpioset) };
}

t.test('a GPIO line is held by one gpioset of either version, and let go at the end', async (t) => {
  for (const [version, lit, dark] of [
    [
      '1.6.3',
      '--mode=signal --active-low gpiochip0 4=1',
      '--mode=signal --active-low gpiochip0 4=0',
    ],
    ['2.2.1', '--active-low --chip=gpiochip0 4=1', '--active-low --chip=gpiochip0 4=0'],
  ] as const) {
    const { lamp, read, isHeld } = gpio(t, version);
    const { light } = lightOn(t, lamp);
    await light.show('on');
    t.equal(read('set'), `${lit}\n`);
    t.ok(isHeld());
    await light.close();
    t.equal(read('set'), `${lit}\n${dark}\n`);
    t.notOk(isHeld());
  }
});

t.test(
  'a line that is taken, and tools that are missing, are told with what was said',
  async (t) => {
    const { lamp, folder } = gpio(t, '1.6.3');
    writeFileSync(join(folder, 'broken'), 'gpioset: error setting the GPIO line values: busy\n');
    await t.rejects(lightOn(t, lamp).light.show('on'), { code: 'LIGHT_FAILED', message: /busy/ });
    const missing = new GpioLamp(
      { type: 'gpio', chip: 'c', line: 1, activeLow: false },
      '/no/gpioset',
    );
    await t.rejects(lightOn(t, missing).light.show('on'), { code: 'LIGHT_FAILED' });
    const system = lampOf({ type: 'gpio', chip: 'gpiochip77', line: 1, activeLow: false });
    await t.rejects(lightOn(t, system).light.show('on'), { code: 'LIGHT_FAILED' });
  },
);

t.test('a board without a light says it in its log', async (t) => {
  t.equal(lampOf(null), null);
  const { light, said } = lightOn(t, null);
  await light.show('on');
  await light.show('on');
  t.equal(said.length, 1, 'once');
});
