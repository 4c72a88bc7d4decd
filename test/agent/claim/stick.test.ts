// Setup codes in files: what is read, what is left alone, and what remains after a claim.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import type { Answer } from '../../../agent/claim/source.ts';
import { Stick } from '../../../agent/claim/stick.ts';
import { encodeLabelCode, qrText } from '../../../proto/setup-code.ts';
import { eventually } from '../uplink/rig.ts';
import { newCode } from './shown.ts';

const FILE = 'lenscap-claim.txt';

function withTypingError(code: string): string {
  return code.replace(/(?<=^.{8})./, (one) => (one === '0' ? '1' : '0'));
}

function plug(t: Test, folders: readonly string[], answers: readonly Answer[] = []) {
  const offers: { code: string; atMs: number }[] = [];
  let text = '';
  const write = (line: string): void => {
    text += line;
  };
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const stick = new Stick({ folders, log: pino({ level: 'debug' }, { write }) });
  const ended = stick.run(async (code, from) => {
    t.equal(from, 'stick');
    offers.push({ code, atMs: performance.now() });
    return answers[offers.length - 1] ?? 'claimed';
  }, stop.signal);
  return {
    offers,
    ended,
    log: () => text,
    says: (what: string) => eventually(what, () => text.includes(what)),
    stop: () => {
      stop.abort();
      return ended;
    },
  };
}

t.test(
  'a code is found in a folder and in a stick in it, in every form it is written',
  async (t) => {
    const code = newCode();
    const wide = Buffer.from(`\ufeff${code}\r\n`, 'utf16le');
    for (const [where, content] of [
      ['', `${code}\n`],
      ['stick', `# for the camera in the hall\r\n\r\n  ${code.toLowerCase()}  \r\nthank you`],
      ['a b', `\ufeff${code.replaceAll('-', ' ')}`],
      ['qr', qrText(code)],
      ['windows', wide],
      ['long', `${code}\n${'x'.repeat(1 << 20)}`],
    ] as const) {
      const folder = t.testdir({});
      mkdirSync(join(folder, where), { recursive: true });
      const path = join(folder, where, FILE);
      writeFileSync(path, content);
      const plugged = plug(t, ['/nowhere/at/all', folder]);
      await plugged.ended;
      const found = plugged.offers.map((offer) => offer.code.replace(/^LENSCAP:|[\s-]/g, ''));
      t.strictSame(
        found.map((one) => one.toUpperCase()),
        [code.replaceAll('-', '')],
        where,
      );
      t.notOk(existsSync(path), 'the file is gone');
      t.notOk(plugged.log().toUpperCase().includes(code.slice(0, 11)), 'no code in the log');
    }
  },
);

t.test('a stick that is plugged in later is seen, and what was used is overwritten', async (t) => {
  const folder = t.testdir({});
  const plugged = plug(t, [folder]);
  mkdirSync(join(folder, 'stick'));
  const path = join(folder, 'stick', FILE);
  const code = newCode();
  writeFileSync(path, code);
  const open = openSync(path, 'r');
  await plugged.ended;
  t.notOk(existsSync(path));
  const left = Buffer.alloc(4096);
  const length = readSync(open, left);
  t.equal(length, code.length);
  t.ok(
    left.every((byte) => byte === 0),
    'nothing of it is left in its blocks',
  );
});

t.test('garbage is complained of once for each version, without a part of it', async (t) => {
  const wrong = withTypingError(newCode());
  const label = encodeLabelCode({ serial: 'SN-1', keyFingerprint: Buffer.alloc(32, 7) });
  const beyond = `${'\n'.repeat(4096)}${newCode()}`;
  const garbage = Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 7) % 256));
  for (const content of ['', 'canary', garbage, wrong, label, beyond]) {
    const folder = t.testdir({});
    const path = join(folder, FILE);
    writeFileSync(path, content);
    const plugged = plug(t, [folder]);
    await plugged.says('holds no setup code');
    await new Promise((resolve) => setTimeout(resolve, 2200));
    t.equal(plugged.log().split('holds no setup code').length, 2, 'once');
    t.notMatch(plugged.log(), /canary/);
    t.notOk(plugged.log().includes(wrong.slice(0, 11)));
    t.strictSame(plugged.offers, []);
    t.strictSame(readFileSync(path), Buffer.from(content), 'left as it is');
    if (content === wrong) {
      t.match(plugged.log(), /checksum/);
      writeFileSync(path, newCode());
      await plugged.ended;
      t.equal(plugged.offers.length, 1, 'a corrected file is taken');
    } else await plugged.stop();
  }
});

t.test('what is no regular file is neither read nor written', async (t) => {
  const folder = t.testdir({ secret: newCode(), link: {}, pipe: {}, folder: { [FILE]: {} } });
  symlinkSync(join(folder, 'secret'), join(folder, 'link', FILE));
  execFileSync('mkfifo', [join(folder, 'pipe', FILE)]);
  symlinkSync('/', join(folder, 'root'));
  const before = readFileSync(join(folder, 'secret'));
  const plugged = plug(t, [folder]);
  await eventually('3 warnings', () => plugged.log().split('not a regular file').length === 4);
  await plugged.stop();
  t.strictSame(plugged.offers, []);
  t.strictSame(readFileSync(join(folder, 'secret')), before);
});

t.test('a refused file is not offered again, a changed one is', async (t) => {
  const [first, second] = [newCode(), newCode()];
  const folder = t.testdir({ [FILE]: first });
  const plugged = plug(t, [folder], ['refused', 'claimed']);
  await eventually('an offer', () => plugged.offers.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 2200));
  t.equal(plugged.offers.length, 1);
  t.equal(readFileSync(join(folder, FILE), 'utf8'), first, 'it is not erased');
  writeFileSync(join(folder, FILE), second);
  await plugged.ended;
  t.strictSame(
    plugged.offers.map(({ code }) => code),
    [first, second],
  );
});

t.test('a code is offered again after a while where the server is away', async (t) => {
  const folder = t.testdir({ [FILE]: newCode() });
  const plugged = plug(t, [folder], ['retry', 'claimed']);
  await plugged.ended;
  const [one, two] = plugged.offers.map(({ atMs }) => atMs);
  t.ok((two ?? 0) - (one ?? 0) >= 9900);
});

t.test('a stick that cannot be written is named, and claims all the same', async (t) => {
  const folder = t.testdir({ stick: { [FILE]: newCode() } });
  const stick = join(folder, 'stick');
  // Modes do not hold root back.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    execFileSync('mount', ['--bind', stick, stick]);
    execFileSync('mount', ['-o', 'remount,ro,bind', stick]);
  } else chmodSync(join(stick, FILE), 0o400);
  try {
    const plugged = plug(t, [folder]);
    await plugged.ended;
    t.match(plugged.log(), /remove it yourself.*(EROFS|EACCES)/);
    t.ok(existsSync(join(stick, FILE)));
  } finally {
    if (isRoot) execFileSync('umount', [stick]);
  }
});

t.test('of a folder with very many entries only some are looked at', async (t) => {
  const folder = t.testdir({});
  for (let at = 0; at < 300; at += 1) {
    mkdirSync(join(folder, `stick-${at}`));
    writeFileSync(join(folder, `stick-${at}`, FILE), 'nothing');
  }
  linkSync(join(folder, 'stick-0', FILE), join(folder, 'same'));
  const plugged = plug(t, [folder]);
  await plugged.says('holds no setup code');
  await new Promise((resolve) => setTimeout(resolve, 500));
  await plugged.stop();
  const named = plugged.log().split('holds no setup code').length - 1;
  t.ok(named >= 63 && named <= 64, `${named} files`);
});
