// Codes that people carry: what was written is read, and a mistake is found before anything is asked.
import { randomBytes } from 'node:crypto';
import t from 'tap';
import {
  codeInQr,
  decodeLabelCode,
  decodeSetupCode,
  encodeLabelCode,
  encodeSetupCode,
  qrText,
} from '../../proto/setup-code.ts';
import { seeded } from '../seeded.ts';

const setup = {
  host: 'cameras.example.org',
  port: 8883,
  caFingerprint: Buffer.alloc(16, 0xca),
  secret: Buffer.alloc(16, 0x5e),
};
const label = { serial: 'LC-2026.000_17', keyFingerprint: Buffer.alloc(16, 0xfa) };
const code = encodeSetupCode(setup);

t.test('a setup code has its golden text', async (t) => {
  t.equal(
    code,
    '05F5W-QJYBS-F5WQJ-YBSF5-WQJYB-SFCNJ-PASB5-CNJPA-SB5CN-JPASB-5CM8N-KCDGP-TSBJC-5SJWS-BRC5P-Q0V35-5SQQ4-SSVFQ-5KY',
  );
  t.same(decodeSetupCode(code), setup);
});

t.test('the code of a label has its golden text', async (t) => {
  t.equal(
    encodeLabelCode(label),
    '0BXFN-YQTZB-XFNYQ-TZBXF-NYQTZ-BX4RG-SD68R-34DHE-60R30-QSH6Z-N5VYH-2',
  );
  t.same(decodeLabelCode(encodeLabelCode(label)), label);
});

t.test('any host and port come through', async (t) => {
  for (const host of ['localhost', '10.0.0.7', '2001:db8::7', 'a'.repeat(63), 'x.y-z.example'])
    for (const port of [1, 8883, 65_535]) {
      const one = { ...setup, host, port, secret: randomBytes(16), caFingerprint: randomBytes(16) };
      t.same(decodeSetupCode(encodeSetupCode(one)), one, `${host} ${port}`);
    }
});

t.test(
  'case, spaces, hyphens, line ends and letters that look like digits do not matter',
  async (t) => {
    const bare = code.replaceAll('-', '');
    for (const typed of [
      code.toLowerCase(),
      bare,
      bare.match(/.{1,4}/g)?.join(' ') ?? '',
      `\n  ${code}\r\n`,
      code.replaceAll('0', 'O').replaceAll('1', 'l'),
      qrText(code),
      qrText(code).toLowerCase(),
    ])
      t.same(decodeSetupCode(typed), setup, typed.slice(0, 20));
  },
);

/** The error of a text that is no code; undefined when it was taken for one. */
function faultOf(text: string): Error | undefined {
  try {
    decodeSetupCode(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

t.test('every single mistake and every swap of neighbours is found by the checksum', async (t) => {
  const bare = code.replaceAll('-', '');
  const digits = [...'0123456789ABCDEFGHJKMNPQRSTVWXYZ'];
  const mistakes = [...bare].flatMap((right, at) => [
    ...digits.map((wrong) => bare.slice(0, at) + wrong + bare.slice(at + 1)),
    bare.slice(0, at) + bare.charAt(at + 1) + right + bare.slice(at + 2),
  ]);
  const wrong = mistakes.filter((typed) => typed !== bare);
  const missed = wrong.filter((typed) => faultOf(typed) === undefined);
  t.ok(wrong.length > 2000, `${wrong.length} mistakes`);
  t.strictSame(missed, []);
});

t.test('what is cut short, too long, foreign or noise is refused, never repeated', async (t) => {
  const random = seeded(t);
  const noise = Array.from({ length: 500 }, () =>
    randomBytes(Math.floor(random() * 200)).toString(random() < 0.5 ? 'latin1' : 'base64'),
  );
  const bare = code.replaceAll('-', '');
  const cuts = Array.from({ length: bare.length }, (_, length) => bare.slice(0, length));
  const texts = [...noise, ...cuts, '', '!', 'U', code + code, 'A'.repeat(100_000)];
  for (const [index, text] of texts.entries()) {
    const fault = faultOf(text);
    t.match(fault, { code: 'CODE_INVALID' }, `text ${index}`);
    t.notMatch(String(fault), bare.slice(0, 10));
  }
});

t.test('a code of one kind is not taken for the other', async (t) => {
  t.throws(() => decodeLabelCode(code), { code: 'CODE_INVALID', message: /label/ });
  t.throws(() => decodeSetupCode(encodeLabelCode(label)), {
    code: 'CODE_INVALID',
    message: /setup/,
  });
});

t.test('a code that names no server, or no serial number, is refused', async (t) => {
  for (const host of ['', 'a b', 'http://x', 'x;reboot', 'a:b', '\u0000'])
    t.throws(() => decodeSetupCode(encodeSetupCode({ ...setup, host })), { code: 'CODE_INVALID' });
  t.throws(() => decodeSetupCode(encodeSetupCode({ ...setup, port: 0 })), { code: 'CODE_INVALID' });
  for (const serial of ['', '../x', 'a/b', '+', 'x'.repeat(65)])
    t.throws(() => decodeLabelCode(encodeLabelCode({ ...label, serial })), {
      code: 'CODE_INVALID',
    });
});

t.test('a QR code of something else is not ours', async (t) => {
  t.equal(codeInQr(qrText(code)), code);
  const others = [
    '',
    'https://example.org/',
    'WIFI:T:WPA;S:x;P:y;;',
    `LENSCAP:${'A'.repeat(2000)}`,
  ];
  for (const text of others) t.equal(codeInQr(text), undefined, text.slice(0, 30));
  t.match(qrText(code), /^[0-9A-Z:-]+$/, 'in the alphanumeric mode, which keeps the picture small');
});
