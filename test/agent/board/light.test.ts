// The indicator light. Lights of the kernel are folders of real files in the place of /sys/class/leds,
// a GPIO line is a script in the place of gpioset, since a machine for tests has neither.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { GpioLamp } from '../../../agent/board/gpio-lamp.ts';
import type { Lamp } from '../../../agent/board/lamp.ts';
import { LedLamp } from '../../../agent/board/led-lamp.ts';
import { Light, lampOf } from '../../../agent/board/light.ts';
import type { LenscapError } from '../../../proto/errors.ts';
import { eventually } from '../uplink/rig.ts';

/** They wait for the most part. */
t.jobs = 4;

function lightOn(t: Test, lamp: Lamp | null, percent = 100, patienceMs = 5000) {
  const failures: LenscapError[] = [];
  const said: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => said.push(line) });
  const light = new Light({
    lamp,
    log,
    brightnessPercent: () => percent,
    patienceMs,
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
  /** At once, as the kernel does it. */
  const set = (name: string, text: string): void => {
    writeFileSync(join(folder, 'new'), `${text}\n`);
    renameSync(join(folder, 'new'), join(folder, name));
  };
  return { folder, read, set, lamp: new LedLamp(folder) };
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
  await t.rejects(light.show('on'), { code: 'LIGHT_FAILED', message: /is null, not 255/ });
});

t.test('a light that fails while it shines is told', async (t) => {
  const { lamp, folder } = led(t);
  const { light, failures } = lightOn(t, lamp);
  await light.show('blinking');
  rmSync(folder, { recursive: true });
  await eventually('the failure', () => failures.length > 0);
  t.equal(failures[0]?.code, 'LIGHT_FAILED');
});

t.test('a light that is turned off by something else shines again, and that is told', async (t) => {
  const { lamp, read, set } = led(t);
  const { light, said, failures } = lightOn(t, lamp);
  await light.show('on');
  set('trigger', 'heartbeat');
  set('brightness', '0');
  await eventually('it shines again', () => read('brightness') === '255');
  t.equal(read('trigger'), 'none', 'taken back from the kernel as well');
  await eventually('it is told', () => /something else had set/.test(said.join('')));
  await light.show('off');
  set('brightness', '9');
  await eventually('it is dark again', () => read('brightness') === '0');
  t.same(failures, []);
});

t.test('a light that something else keeps turning off is not one, until it stops', async (t) => {
  const { lamp, read, set } = led(t);
  let isTaken = false;
  const shine = (share: number) => {
    if (isTaken) set('brightness', '0');
    return lamp.shine(share);
  };
  const { light, failures, said } = lightOn(t, { canDim: true, shine, close: () => lamp.close() });
  await light.show('on');
  isTaken = true;
  await eventually('it has failed', () => failures.length > 0);
  t.match(failures, [{ code: 'LIGHT_FAILED', message: /keeps setting/ }]);
  await t.rejects(light.show('on'), { code: 'LIGHT_FAILED' }, 'not believed at once');
  isTaken = false;
  const shown = () => said.filter((line) => line.includes('"light":"on"')).length;
  await eventually('it shines by itself', () => shown() === 2 && read('brightness') === '255');
  await light.show('on');
});

t.test('a light that failed is tried again, until it shows what it should', async (t) => {
  const { lamp, folder, read } = led(t);
  const { light, failures } = lightOn(t, lamp);
  await light.show('on');
  renameSync(folder, `${folder}-gone`);
  await eventually('the failure', () => failures.length === 1);
  await t.rejects(light.show('off'), { code: 'LIGHT_FAILED' });
  renameSync(`${folder}-gone`, folder);
  await eventually('it is dark', () => read('brightness') === '0');
  t.equal(failures.length, 1, 'told once');
});

t.test('each showing sets the light anew, or fails, also of a state that is shown', async (t) => {
  const { lamp, folder } = led(t);
  const { light } = lightOn(t, lamp);
  await light.show('on');
  rmSync(folder, { recursive: true });
  await t.rejects(light.show('on'), { code: 'LIGHT_FAILED' });
});

/** A lamp that answers when it is told to. */
function slowLamp() {
  const shares: number[] = [];
  const answers: (() => void)[] = [];
  const lamp: Lamp = {
    canDim: true,
    shine: async (share) => {
      shares.push(share);
      await new Promise<void>((resolve) => answers.push(resolve));
      return true;
    },
    close: async () => undefined,
  };
  return { lamp, shares, answer: () => answers.shift()?.() };
}

t.test('of states that follow each other at once the last one is shown, and told', async (t) => {
  const { lamp, shares, answer } = slowLamp();
  const { light, said } = lightOn(t, lamp, 100, 1000);
  const first = light.show('on');
  await eventually('under way', () => shares.length === 1);
  const others = (['off', 'breathing', 'on', 'off'] as const).map((state) => light.show(state));
  answer();
  await first;
  await eventually('the next one', () => shares.length === 2);
  answer();
  await Promise.all(others);
  t.same(shares, [1, 0]);
  t.equal(said.length, 2);
});

t.test('a light that does not answer has failed, and is not asked again meanwhile', async (t) => {
  const { lamp, shares, answer } = slowLamp();
  const { light, said } = lightOn(t, lamp, 100, 50);
  await t.rejects(light.show('on'), { code: 'LIGHT_FAILED', message: /no answer/ });
  await t.rejects(light.show('off'), { code: 'LIGHT_FAILED', message: /does not answer/ });
  t.same(shares, [1]);
  answer();
  await eventually('it is asked again', () => shares.length === 2);
  t.equal(shares[1], 0, 'for what it should show now');
  answer();
  await eventually('it shows it', () => said.length === 1);
});

t.test('what is no light is not made one, and keeps nobody waiting', async (t) => {
  const { folder } = led(t);
  rmSync(join(folder, 'brightness'));
  await t.rejects(lightOn(t, new LedLamp(folder)).light.show('on'), { code: 'LIGHT_FAILED' });
  t.notOk(existsSync(join(folder, 'brightness')));
  execFileSync('mkfifo', [join(folder, 'brightness')]);
  const startMs = performance.now();
  await t.rejects(lightOn(t, new LedLamp(folder)).light.show('off'), { code: 'LIGHT_FAILED' });
  t.ok(performance.now() - startMs < 2000, 'at once');
});

const GPIOSET = `#!/bin/bash
here=$(dirname "$0")
if [ "$1" = --version ]; then echo "gpioset (libgpiod) v$(cat "$here/version")"; exit; fi
[ -s "$here/broken" ] && { cat "$here/broken" >&2; exit 1; }
echo "$@" >> "$here/set"
echo $$ > "$here/pid"
# As the file by which the kernel gives a line.
exec 9< "$here/gpio-line"
exec sleep 60
`;

function gpio(t: Test, version: string) {
  const folder = t.testdir({ version, broken: '', gpioset: GPIOSET, 'gpio-line': '' });
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

t.test('a gpioset that was killed is noticed, and a line that another has then', async (t) => {
  const { lamp, read, isHeld, folder } = gpio(t, '2.2.1');
  const { light, failures, said } = lightOn(t, lamp);
  await light.show('on');
  const pid = () => Number(read('pid'));
  const first = pid();
  process.kill(first, 'SIGKILL');
  await eventually('another one holds it', () => pid() !== first && isHeld());
  await eventually('it is told', () => /something else had set/.test(said.join('')));
  writeFileSync(join(folder, 'broken'), 'gpioset: error: line 4 is busy\n');
  process.kill(pid(), 'SIGKILL');
  await eventually('the failure', () => failures.length === 1);
  t.match(failures, [{ code: 'LIGHT_FAILED', message: /busy/ }]);
  rmSync(join(folder, 'broken'));
  await eventually('it is taken again', () => isHeld());
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
