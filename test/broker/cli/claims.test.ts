// Claiming by the command line: the code shown in every way, waited for, and how it ends.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Claim, MadeClaim } from '../../../broker/cli/device-answers.ts';
import { decodeSetupCode, qrText } from '../../../proto/setup-code.ts';
import { FactoryBoard } from '../fleet/house.ts';
import { CODE, claimWith, latest } from './claiming.ts';
import { loggedIn } from './process.ts';
import { linesOfCode, readCharacters, readPng } from './qr-reader.ts';

t.test('a code is printed with what to do, as QR code and as pictures', async (t) => {
  const { house, home, quick } = await loggedIn(t);
  const [png, svg] = [join(home, 'code.png'), join(home, 'code.svg')];
  const made = await quick('claim', 'new', '--name', 'cellar', '--png', png, '--svg', svg);
  t.equal(made.status, 0, made.err);
  const code = CODE.exec(made.out)?.[1] ?? '';
  t.match(code, /^([0-9A-Z]{5}-)+[0-9A-Z]{1,5}$/, 'in groups');
  t.match(decodeSetupCode(code), { host: 'localhost', port: 8883 });
  t.match(made.out, /It ends in 1[45] min \d+ s \(\S+Z\) and works once/);
  for (const way of [`lenscap-agent claim ${code}`, 'to its lens', 'lenscap-claim.txt'])
    t.ok(made.out.includes(way), way);
  t.notOk(made.out.includes('\u001b'), 'no colours where it is not a terminal');
  t.equal(await readCharacters(home, linesOfCode(made.out), false), qrText(code));
  t.equal(await readPng(png), qrText(code));
  t.match(await readFile(svg, 'utf8'), /^<svg /);
  for (const path of [png, svg]) t.equal((await stat(path)).mode & 0o777, 0o600);
  const bare = await quick('claim', 'new', '--name', 'attic', '--no-qr');
  t.notMatch(bare.out, /[█▄▀]/);
  t.match(bare.out, /the QR code \(--png, --svg\) to its lens/);
  const deviceId = await claimWith(house, CODE.exec(bare.out)?.[1] ?? '');
  const list = await quick('claim', 'list');
  t.match(list.out, /^ID +NAME +STATE +ENDS .*\nclaim-\S+ +attic +used +0 +cam-/);
  t.match(list.out, /cellar +open +1[45] min/);
  t.ok(list.out.includes(deviceId));
  t.notOk(list.out.includes(code));
  const claims: Claim[] = JSON.parse((await quick('claim', 'list', '--json')).out);
  const { claimId } = claims[1] ?? { claimId: '' };
  t.match(await quick('claim', 'cancel', claimId), { status: 0, out: `${claimId} is cancelled\n` });
  t.match(await quick('claim', 'list'), { out: /cellar +cancelled/ });
});

t.test('scripts get JSON: the code, then the camera', async (t) => {
  const { house, quick } = await loggedIn(t);
  const waiting = quick('claim', 'new', '--name', 'cellar', '--json', '--wait');
  const claimId = await eventually(() => latest(house));
  const token = await house.login(house.anna);
  await house.json('DELETE', `/api/claims/${claimId}`, token);
  const ended = await waiting;
  t.equal(ended.status, 77, 'a code that was cancelled is not waited for');
  t.match(ended.err, /the code is not accepted: claim-\S+ is cancelled; make a new one/);
  const made: MadeClaim = JSON.parse(ended.out);
  t.match(made, { claimId, code: /-/, qr: { svg: /^<svg/ } });
});

async function eventually<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (const end = performance.now() + 20_000; performance.now() < end; ) {
    const found = await ask();
    if (found !== undefined) return found;
  }
  throw new Error('it never came');
}

t.test('a camera is let in again by its name, and keeps its id', async (t) => {
  const { house, quick } = await loggedIn(t);
  const made = await quick('claim', 'new', '--device', 'Front door', '--no-qr');
  t.equal(made.status, 0, made.err);
  const deviceId = await claimWith(house, CODE.exec(made.out)?.[1] ?? '');
  t.equal(deviceId, house.anna.device.device_id);
});

t.test('a label is claimed as it is read', async (t) => {
  const { house, quick } = await loggedIn(t);
  const board = new FactoryBoard('LX-0001');
  await house.installation.boards.enroll([board.row]);
  const typed = board.label.toLowerCase();
  t.match(await quick('claim', 'label', typed, '--name', 'barn'), {
    status: 0,
    out: /^barn is yours: Lens 1, serial number LX-0001\n/,
  });
  t.match(await quick('claim', 'label', typed, '--name', 'barn'), { status: 77, err: /was used/ });
});

t.test('what does not work says what to do', async (t) => {
  const { home, quick } = await loggedIn(t);
  const cases: [string[], number, RegExp][] = [
    [['claim', 'new'], 64, /--name NAME for a new camera, or --device/],
    [['claim', 'new', '--name', ' '], 64, /name/],
    [['claim', 'new', '--device', 'nobody'], 66, /no camera nobody/],
    [['claim', 'cancel', 'claim-x'], 66, /no such setup code among yours/],
    [['claim', 'label', 'XXXX', '--name', 'x'], 65, /cannot be read/],
    [['claim', 'label', 'XXXX'], 64, /--name/],
    [['claim'], 64, /new.*\n.*label/s],
  ];
  for (const [args, status, err] of cases) {
    const ended = await quick(...args);
    t.equal(ended.status, status, `${args.join(' ')}: ${ended.err}`);
    t.match(ended.err, err);
  }
  const lost = join(home, 'no', 'x.png');
  const made = await quick('claim', 'new', '--name', 'x', '--png', lost);
  t.match(made, { status: 64, err: /cannot be written/ });
  t.match(made.out, CODE, 'the code was shown before');
});
