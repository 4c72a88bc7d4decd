// What the board tells of itself, from folders that stand in for those of the kernel.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { BoardFiles } from '../../../agent/board/board-files.ts';
import {
  type Board,
  BoardDescription,
  firmwareIn,
  inSteps,
  interfacesUp,
} from '../../../agent/board/description.ts';
import { busyPercent, signalIn, wearPercent } from '../../../agent/board/readings.ts';
import { BoardVitals } from '../../../agent/board/vitals.ts';
import { within } from '../../../agent/board/within.ts';
import { LinkFigures } from '../../../agent/uplink/figures.ts';
import { healthVitals } from '../../../agent/uplink/health.ts';
import { decodeHealth, encodeHealth } from '../../../proto/health.ts';

const MEMINFO = 'MemTotal:        1024 kB\nMemFree:          100 kB\nMemAvailable:     512 kB\n';
const STAT = (busy: number, idle: number) =>
  `cpu  ${busy} 0 0 ${idle} 0 0 0 0 0 0\ncpu0 1 0 0 1 0 0 0 0 0 0\nctxt 5\n`;
const WIRELESS = [
  'Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE',
  ' face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22',
  ' wlan0: 0000   54.  -56.  -256        0      0      0      0     10        0',
].join('\n');
const describe = (board: Board) => new BoardDescription(board).read();
const CLOCK = { monoUs: () => 100_000_000 };

t.test('a board with all of it', async (t) => {
  const root = t.testdir({
    proc: { meminfo: MEMINFO, stat: STAT(30, 70), net: { wireless: WIRELESS } },
    sys: {
      class: {
        thermal: {
          thermal_zone0: { temp: '48123\n' },
          thermal_zone1: { temp: '51000\n' },
          thermal_zone2: { temp: '-274000\n' },
          cooling_device0: { type: 'fan' },
        },
      },
      block: {
        mmcblk0: { device: { life_time: '0x03 0x02\n' } },
        mmcblk1: { device: { life_time: '0x00 0x00\n' } },
      },
    },
  });
  const vitals = new BoardVitals({ files: new BoardFiles(root), clock: CLOCK });
  const read = await vitals.read();
  t.match(read, {
    temperatureCelsius: 51,
    memoryTotalBytes: 1024 * 1024,
    memoryAvailableBytes: 512 * 1024,
    cpuPercent: 30,
    flashWearPercent: 20,
    signalDbm: -56,
  });
  t.ok(Number.isInteger(read.uptimeS));
});

t.test('the folders of the classes are links, as those of the kernel are', async (t) => {
  const root = t.testdir({
    sys: {
      devices: { zone: { temp: '48123\n' }, card: { life_time: '0x02 0x01\n' } },
      class: { thermal: { thermal_zone0: t.fixture('symlink', '../../devices/zone') } },
      block: { mmcblk0: { device: t.fixture('symlink', '../../devices/card') } },
    },
  });
  const vitals = new BoardVitals({ files: new BoardFiles(root), clock: CLOCK });
  t.match(await vitals.read(), { temperatureCelsius: 48.123, flashWearPercent: 10 });
});

t.test('files that are broken say nothing, and the message can be read all the same', async (t) => {
  const huge = '9'.repeat(400);
  const root = t.testdir({
    proc: {
      meminfo: `MemTotal: ${huge} kB\nMemAvailable: ${huge} kB\n`,
      stat: `cpu  ${huge} 0 0 ${huge} 0 0 0 0\n`,
      net: { wireless: ` wlan0: 0000 1. ${huge}. 0\n wlan1: 0000 1. 0. 0\n` },
    },
    sys: {
      class: {
        thermal: {
          thermal_zone0: { temp: huge },
          thermal_zone1: { temp: 'hot\u001b[31m\n' },
          thermal_zone2: { temp: {} },
          thermal_zone3: { temp: t.fixture('symlink', 'temp') },
          thermal_zone4: { temp: t.fixture('symlink', '/dev/zero') },
        },
      },
      block: { mmcblk0: { device: { life_time: `-0x01 ${huge}` } } },
    },
  });
  const vitals = new BoardVitals({ files: new BoardFiles(root), clock: CLOCK });
  const board = await vitals.read();
  t.match(board, { temperatureCelsius: null, flashWearPercent: null, signalDbm: null });
  const spool = { state: 'on_flash', code: null, items: 0, bytes: 0 } as const;
  const frames = { framesCaptured: 0, framesDropped: 0 };
  const figures = new LinkFigures();
  const told = { board, figures, frames, clockOffsetMs: 0 };
  const payload = encodeHealth({ epoch: 1, spool, vitals: healthVitals(told) });
  t.match(decodeHealth(payload).vitals, board);
});

t.test('a pipe in the place of a file keeps nobody waiting, nor does a huge file', async (t) => {
  const root = t.testdir({ 'a-large': 'x'.repeat(1 << 20), 'a-small': ' here\0\n' });
  execFileSync('mkfifo', [join(root, 'pipe')]);
  const files = new BoardFiles(root);
  const startMs = performance.now();
  t.equal(await files.text('pipe'), null);
  t.ok(performance.now() - startMs < 1000, 'at once');
  const texts = await files.texts('a-*');
  t.same(
    texts.map((text) => text.length),
    [64 << 10, 4],
  );
  const never = new Promise<string>(() => undefined);
  t.equal(await within(5, never), null, 'nor what takes longer than it may');
  t.equal(await within(5000, Promise.resolve('soon')), 'soon');
});

t.test('the load is that since the last reading', async (t) => {
  const root = t.testdir({ proc: { stat: STAT(1000, 1000) } });
  const vitals = new BoardVitals({ files: new BoardFiles(root), clock: CLOCK });
  t.equal((await vitals.read()).cpuPercent, 50);
  t.equal((await vitals.read()).cpuPercent, 0, 'no time has passed');
  t.equal(busyPercent({ busy: 1000, total: 2000 }, { busy: 1010, total: 2040 }), 25);
});

t.test('where the kernel hides the machine, the service tells of itself', async (t) => {
  const usage = { 'cpu.stat': 'usage_usec 1000000\nuser_usec 1\n' };
  const root = t.testdir({
    proc: { self: { cgroup: '0::/system.slice/lenscap.service\n' } },
    sys: { fs: { cgroup: { 'system.slice': { 'lenscap.service': usage } } } },
  });
  const read = await new BoardVitals({
    files: new BoardFiles(root),
    clock: { monoUs: () => 1_000_000 },
  }).read();
  t.ok(read.cpuPercent > 0 && read.cpuPercent <= 100, `${read.cpuPercent}% of all cores`);
  t.ok(read.memoryTotalBytes >= read.memoryAvailableBytes && read.memoryAvailableBytes > 0);
  t.match(read, { temperatureCelsius: null, flashWearPercent: null, signalDbm: null });
});

t.test('wear is the worst of what is said, and nonsense says nothing', async (t) => {
  t.equal(wearPercent([]), null);
  t.equal(wearPercent(['0x00 0x00', 'x', '0xff']), null);
  t.equal(wearPercent(['0x01 0x01']), 0);
  t.equal(wearPercent(['0x01 0x0a', '0x02']), 90);
  t.equal(wearPercent(['0x01 0x0b']), 100, 'more than it was made for');
  const life = { life_time_estimation_a: '0x05', life_time_estimation_b: '0x0B' };
  const bus = { platform: { drivers: { ufshcd_x: { '1.ufs': { health_descriptor: life } } } } };
  const files = new BoardFiles(t.testdir({ sys: { bus } }));
  const vitals = new BoardVitals({ files, clock: CLOCK });
  t.equal(await vitals.flashWearPercent(), 100);
});

t.test('a signal is in dBm, however a driver counts', async (t) => {
  t.equal(signalIn(WIRELESS), -56);
  t.equal(signalIn(' wlan0: 0000   54.  200.  0 0 0 0 0 0 0'), -56);
  t.equal(signalIn('nothing'), null);
});

t.test('model, serial and firmware are what the board says, unless its maker said', async (t) => {
  const root = t.testdir({
    proc: { 'device-tree': { model: 'Raspberry Pi 5\0', 'serial-number': '10000000abc\0' } },
    sys: { class: { dmi: { id: { product_name: 'PC' } } } },
    etc: { 'os-release': 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n' },
  });
  const files = new BoardFiles(root);
  const board = { files, model: null, serial: null, agentVersion: '1.0.0', stateDir: root };
  const said = await describe(board);
  t.match(said, {
    model: 'Raspberry Pi 5',
    serial: '10000000abc',
    firmwareVersion: 'Debian GNU/Linux 13 (trixie)',
    agentVersion: '1.0.0',
  });
  const { totalBytes = 0, freeBytes = 0 } = said.storage ?? {};
  t.ok(totalBytes > 0 && freeBytes <= totalBytes);
  t.match(await describe({ ...board, model: 'Lenscap One', serial: 'A-1' }), {
    model: 'Lenscap One',
    serial: 'A-1',
  });
});

t.test('a PC without a device tree has a model, and what is not there is not known', async (t) => {
  const root = t.testdir({ sys: { class: { dmi: { id: { product_name: 'PC 1\n' } } } } });
  const board = {
    files: new BoardFiles(root),
    model: null,
    serial: null,
    agentVersion: '1.0.0',
    stateDir: `${root}/none`,
  };
  const absent = { serial: null, firmwareVersion: null, storage: null };
  t.match(await describe(board), { model: 'PC 1', ...absent });
});

t.test('an image names its version', async (t) => {
  t.equal(firmwareIn('PRETTY_NAME="Debian"\nIMAGE_VERSION=2026.11.1\n'), '2026.11.1');
  t.equal(firmwareIn('NAME=x\n'), null);
});

t.test('interfaces are those that reach out, always in the same order', async (t) => {
  const one = { netmask: '', cidr: null, family: 'IPv4', internal: false } as const;
  const found = {
    wlan0: [{ ...one, mac: '02:00:00:00:00:02', address: '192.0.2.8' }],
    lo: [{ ...one, mac: '00:00:00:00:00:00', address: '127.0.0.1', internal: true }],
    eth0: [
      { ...one, mac: '02:00:00:00:00:01', address: '198.51.100.7' },
      { ...one, mac: '02:00:00:00:00:01', address: '192.0.2.7' },
    ],
    wg0: [{ ...one, mac: '00:00:00:00:00:00', address: '10.0.0.1' }],
  };
  t.same(interfacesUp(found), [
    { name: 'eth0', mac: '02:00:00:00:00:01', addresses: ['192.0.2.7', '198.51.100.7'] },
    { name: 'wg0', mac: null, addresses: ['10.0.0.1'] },
    { name: 'wlan0', mac: '02:00:00:00:00:02', addresses: ['192.0.2.8'] },
  ]);
  t.equal(interfacesUp({}), null);
});

t.test('words of the board do nothing to a terminal', async (t) => {
  const one = { netmask: '', cidr: null, family: 'IPv4', internal: false } as const;
  const address = { ...one, mac: '02:00:00:00:00:02', address: '192.0.2.8' };
  t.match(interfacesUp({ '\u001b[31meth0\u202e': [address] }), [{ name: '\ufffd[31meth0\ufffd' }]);
  const root = t.testdir({
    proc: { 'device-tree': { model: 'Board\u001b]0;x\u0007\r\nTwo', 'serial-number': 'a\u2028b' } },
    etc: { 'os-release': 'IMAGE_VERSION="1\u009b2"\n' },
  });
  const files = new BoardFiles(root);
  const board = { files, model: null, serial: null, agentVersion: '1.0.0', stateDir: root };
  const said = await describe(board);
  t.match(said, { model: 'Board\ufffd]0;x\ufffd\ufffd\ufffdTwo', serial: 'a\ufffdb' });
  t.equal(said.firmwareVersion, '1\ufffd2');
});

t.test('free storage is told in twentieths', async (t) => {
  t.same(inSteps(1000, 999), { totalBytes: 1000, freeBytes: 950 });
  t.same(inSteps(1000, 1000), { totalBytes: 1000, freeBytes: 1000 });
  t.same(inSteps(1000, 49), { totalBytes: 1000, freeBytes: 0 });
  t.same(inSteps(0, 0), { totalBytes: 0, freeBytes: 0 });
});

t.test('what goes to and fro about the edge of a step is no news', async (t) => {
  const said = inSteps(1000, 510);
  t.same(said, { totalBytes: 1000, freeBytes: 500 });
  for (const free of [499, 501, 476, 574]) t.equal(inSteps(1000, free, said), said, `${free}`);
  t.match(inSteps(1000, 475, said), { freeBytes: 450 });
  t.match(inSteps(1000, 575, said), { freeBytes: 550 });
  t.match(inSteps(2000, 1010, said), { totalBytes: 2000, freeBytes: 1000 });
});
