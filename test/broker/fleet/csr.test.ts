import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { requestedKey } from '../../../broker/fleet/csr.ts';
import { csrOf } from './house.ts';

const folder = t.testdir();
const openssl = (...args: string[]): void => {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
};

/** A request by OpenSSL: key options, subject, and what the configuration adds. */
function request(key: readonly string[], subject?: string, config = ''): Uint8Array {
  const head = '[req]\nprompt = no\ndistinguished_name = dn\nstring_mask = utf8only\n';
  writeFileSync(join(folder, 'req.cnf'), `${head}${config}\n[dn]\nCN = lenscap\n`);
  openssl('genpkey', ...key, '-out', 'key.pem');
  const name = subject === undefined ? [] : ['-subj', subject];
  const more = ['-config', 'req.cnf', ...name, '-key', 'key.pem', '-sha256'];
  openssl('req', '-new', ...more, '-outform', 'DER', '-out', 'csr.der');
  return readFileSync(join(folder, 'csr.der'));
}

const ec = (curve: string): string[] => [
  '-algorithm',
  'EC',
  '-pkeyopt',
  `ec_paramgen_curve:${curve}`,
];
const P256 = ec('P-256');

const extended = (lines: string): string => `req_extensions = v3\n[v3]\n${lines}`;

t.test('the key of an honest request is taken', async (t) => {
  for (const csr of [await csrOf({}), await csrOf({ name: '' }), request(P256)])
    t.match((await requestedKey(csr)).keySha256, /^[0-9a-f]{64}$/);
});

/** Another form of a P-256 key: by OpenSSL's options for writing keys. */
function written(...form: string[]): Uint8Array {
  request(P256);
  openssl('ec', '-in', 'key.pem', ...form, '-out', 'form.pem');
  const more = ['-config', 'req.cnf', '-key', 'form.pem', '-sha256', '-outform', 'DER'];
  openssl('req', '-new', ...more, '-out', 'form.der');
  return readFileSync(join(folder, 'form.der'));
}

t.test('whatever asks for more, or is weaker, is refused by name', async (t) => {
  const honest = await csrOf({});
  const damaged = Uint8Array.from(honest);
  damaged[damaged.length - 10] = (damaged[damaged.length - 10] ?? 0) ^ 1;
  const otherKey = Buffer.from(honest);
  const point = otherKey.indexOf(Buffer.from([0x03, 0x42, 0x00, 0x04]));
  otherKey.writeUInt8(otherKey.readUInt8(point + 20) ^ 1, point + 20);
  const table: [string, () => Uint8Array, RegExp][] = [
    ['another name', () => request(P256, '/CN=cam-abcdefghijklmnop'), /subject/],
    ['two names', () => request(P256, '/CN=lenscap/CN=admin'), /subject/],
    ['an organisation', () => request(P256, '/O=x/CN=lenscap'), /subject/],
    ['a NUL in the name', () => Buffer.from(withNul(honest)), /subject|signed/],
    ['RSA', () => request(['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']), /P-256/],
    ['weak RSA', () => request(['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024']), /P-256/],
    ['P-384', () => request(ec('P-384')), /P-256/],
    ['P-192', () => request(ec('prime192v1')), /P-256/],
    ['secp256k1', () => request(ec('secp256k1')), /P-256/],
    ['Ed25519', () => request(['-algorithm', 'ED25519']), /P-256/],
    ['explicit curve parameters', () => written('-param_enc', 'explicit'), /P-256/],
    ['a second name for a key', () => written('-conv_form', 'compressed'), /P-256/],
    [
      'CA flag',
      () => request(P256, undefined, extended('basicConstraints = CA:TRUE')),
      /extensions/,
    ],
    ['SAN', () => request(P256, undefined, extended('subjectAltName = DNS:x.org')), /extensions/],
    ['key usage', () => request(P256, undefined, extended('keyUsage = keyCertSign')), /extensions/],
    [
      'an attribute',
      () => request(P256, undefined, 'attributes = at\n[at]\nchallengePassword = 12345678'),
      /attributes/,
    ],
    ['a bad signature', () => damaged, /signed|PKCS/],
    ['a key that did not sign it', () => otherKey, /P-256|signed/],
    ['something after it', () => Buffer.concat([honest, Buffer.from([5, 0])]), /follows/],
    ['cut off', () => honest.subarray(0, 100), /PKCS/],
    ['garbage', () => Buffer.from('-----BEGIN CERTIFICATE REQUEST-----'), /PKCS/],
    ['nothing', () => new Uint8Array(), /PKCS/],
    ['huge', () => request(P256, `/CN=${'x'.repeat(60)}`, `${extended(long())}`), /larger/],
  ];
  for (const [name, make, detail] of table)
    await t.rejects(requestedKey(make()), { code: 'CSR_INVALID', message: detail }, name);
});

t.test('whatever byte of a request is changed, no other key is taken', async (t) => {
  const honest = await csrOf({});
  const { keySha256 } = await requestedKey(honest);
  for (let at = 0; at < honest.length; at++) {
    const changed = Uint8Array.from(honest);
    changed[at] = (changed[at] ?? 0) ^ 1;
    const outcome = await requestedKey(changed).then(
      (found) => found.keySha256,
      (error: { code: string }) => error.code,
    );
    if (outcome !== 'CSR_INVALID' && outcome !== keySha256) t.fail(`byte ${at}: ${outcome}`);
  }
});

/** The name `lenscap` with a NUL in it, of the same length. */
function withNul(csr: Uint8Array): Uint8Array {
  const bytes = Buffer.from(csr);
  bytes.writeUInt8(0, bytes.indexOf('lenscap') + 3);
  return bytes;
}

function long(): string {
  return `subjectAltName = ${Array.from({ length: 100 }, (_, at) => `DNS:host${at}.example.org`).join(',')}`;
}
