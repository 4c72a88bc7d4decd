// The identity bundle: what is accepted, what each fault says, and that no key is ever told.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { exposure } from '../../../agent/durable-file.ts';
import { loadIdentity } from '../../../agent/identity/identity.ts';
import { toLenscapError } from '../../../proto/errors.ts';
import { makeAuthority, makePair } from '../uplink/pki.ts';

const deviceId = 'cam-abcdefghijklmnop';
const authority = await makeAuthority('authority');
const pair = await makePair(authority, deviceId);
const consentKey = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' });
const bundle = {
  version: 1,
  deviceId,
  ...pair,
  server: { host: 'localhost', port: 8883 },
  ca: authority.pem,
  consentKey,
};
const keyText = pair.privateKey.split('\n')[1] ?? '';

function write(t: { testdir(): string }, content: unknown, mode = 0o600): string {
  const path = join(t.testdir(), 'identity.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  chmodSync(path, mode);
  return path;
}

function fault(path: string): string {
  try {
    loadIdentity(path);
    return 'accepted';
  } catch (error) {
    const { code, message } = toLenscapError(error);
    return message.includes(keyText.slice(0, 6)) ? 'TELLS THE KEY' : `${code} ${message}`;
  }
}

t.test('a bundle of the operator is accepted', async (t) => {
  const identity = loadIdentity(write(t, bundle));
  t.match(identity, { deviceId, server: { host: 'localhost', port: 8883 } });
  t.equal(identity.consentKey.asymmetricKeyType, 'ed25519');
  t.ok(identity.certificateEndsAtUs > Date.now() * 1000);
});

t.test('a bundle that others can read is refused with the remedy', async (t) => {
  for (const mode of [0o640, 0o604, 0o644, 0o660, 0o601])
    t.match(fault(write(t, bundle, mode)), /^IDENTITY_INVALID .*chmod 600/, mode.toString(8));
});

t.test('so is one of another user', async (t) => {
  t.equal(exposure({ mode: 0o100600, uid: 7 }, 7), null);
  t.equal(exposure({ mode: 0o100400, uid: 7 }, 7), null);
  t.match(exposure({ mode: 0o100600, uid: 1000 }, 0), /belongs to user 1000; run: chown 0$/);
  t.match(exposure({ mode: 0o100640, uid: 1000 }, 0), /mode is 640; run: chmod 600$/);
});

t.test('each fault is named, and none tells the key', async (t) => {
  const other = await makePair(authority, 'cam-aaaaaaaaaaaaaaaa');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  const cases: [unknown, RegExp][] = [
    [{ ...bundle, privateKey: other.privateKey }, /\/privateKey: does not belong/],
    [{ ...bundle, ...other }, /\/certificate: is not for cam-abcdefghijklmnop/],
    [{ ...bundle, privateKey: pair.privateKey.replaceAll('\n', ' ') }, /\/privateKey: has to be/],
    [{ ...bundle, privateKey: pair.privateKey.slice(0, 90) }, /\/privateKey: has to be/],
    [{ ...bundle, certificate: `${pair.certificate.slice(0, 200)}` }, /\/certificate: has to be/],
    [{ ...bundle, ca: pair.certificate }, /\/ca: has to be a certificate of an authority/],
    [
      { ...bundle, consentKey: rsa.export({ type: 'spki', format: 'pem' }) },
      /\/consentKey: has to be/,
    ],
    [{ ...bundle, version: 2 }, /\/version/],
    [{ ...bundle, deviceId: 'cam-1' }, /\/deviceId/],
    [{ ...bundle, server: { host: '', port: 70000 } }, /\/server\/host[\s\S]*\/server\/port/],
    [{ ...bundle, extra: 1 }, /additional properties \(extra\)/],
    [pair.privateKey, /is not JSON/],
    [JSON.stringify(bundle).slice(0, 120), /is not JSON/],
    [JSON.stringify(bundle).replace('"certificate"', `${keyText}"`), /is not JSON/],
    ['', /is not JSON/],
    [[], /must be object/],
  ];
  for (const [content, wanted] of cases) t.match(fault(write(t, content)), wanted);
});

t.test('what is no readable file is refused', async (t) => {
  const dir = t.testdir();
  t.match(fault(join(dir, 'none')), /^IDENTITY_INVALID .*no such file/);
  t.match(fault(dir), /^IDENTITY_INVALID .*regular file/);
  const pipe = join(dir, 'pipe');
  execFileSync('mkfifo', ['-m', '600', pipe]);
  t.match(fault(pipe), /^IDENTITY_INVALID .*regular file/, 'and nobody is waited for');
});
