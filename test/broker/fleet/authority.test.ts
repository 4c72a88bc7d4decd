import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Authority } from '../../../broker/fleet/authority.ts';

const DEVICE = 'cam-abcdefghijklmnop';
const DAY_S = 86_400;

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey;

t.test('certificates are what OpenSSL accepts for their purpose, and for no other', async (t) => {
  const folder = t.testdir();
  const authority = await Authority.open(folder, Date.now, true);
  const key = newKey();
  const device = await authority.certify(DEVICE, key, 90 * DAY_S);
  const server = await authority.server(['localhost', '127.0.0.1']);
  writeFileSync(join(folder, 'device.pem'), device.certificate);
  const check = (purpose: string, file: string): string =>
    execFileSync(
      'openssl',
      ['verify', '-CAfile', join(folder, 'ca.pem'), '-purpose', purpose, join(folder, file)],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
  t.match(check('sslclient', 'device.pem'), /OK/);
  t.match(check('sslserver', 'server.pem'), /OK/);
  t.throws(() => check('sslserver', 'device.pem'));
  t.throws(() => check('sslclient', 'server.pem'));
  const parsed = new X509Certificate(device.certificate);
  t.equal(parsed.subject, `CN=${DEVICE}`);
  t.equal(parsed.ca, false);
  t.equal(parsed.serialNumber.toLowerCase(), device.serial);
  t.equal(parsed.fingerprint256.replaceAll(':', '').toLowerCase(), device.fingerprint);
  t.ok(parsed.publicKey.equals(key));
  t.equal(
    device.keySha256,
    createHash('sha256')
      .update(key.export({ type: 'spki', format: 'der' }))
      .digest('hex'),
  );
  t.equal(parsed.validToDate.getTime() * 1000, device.notAfterUs);
  t.ok(new X509Certificate(server.cert).checkIP('127.0.0.1'));
});

t.test('the authority stays the same over restarts, its keys are for its user alone', async (t) => {
  const folder = t.testdir();
  const first = await Authority.open(folder, Date.now, true);
  const { cert } = await first.server(['localhost']);
  const second = await Authority.open(folder, Date.now, true);
  t.equal(second.certificate, first.certificate);
  t.equal((await second.server(['localhost'])).cert, cert);
  t.not(
    (await second.server(['localhost', 'example.org'])).cert,
    cert,
    'a new name needs a new one',
  );
  for (const name of ['ca.key', 'server.key'])
    t.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
});

t.test("the server's certificate is made anew a month before it ends", async (t) => {
  const folder = t.testdir();
  const { cert } = await (await Authority.open(folder, Date.now, true)).server(['localhost']);
  const later = await Authority.open(folder, () => Date.now() + 340 * 86_400_000, false);
  t.not((await later.server(['localhost'])).cert, cert);
});

t.test('a damaged authority is named and not replaced', async (t) => {
  const folder = t.testdir();
  await Authority.open(folder, Date.now, true);
  writeFileSync(join(folder, 'ca.key'), 'nonsense');
  await t.rejects(Authority.open(folder, Date.now, true), {
    code: 'STORE_CORRUPT',
    message: /ca\.key/,
  });
});

t.test('the server shows its certificate with the root that a setup code names', async (t) => {
  const authority = await Authority.open(t.testdir(), Date.now, true);
  for (const time of ['made', 'read again']) {
    const { cert } = await authority.server(['localhost']);
    const [leaf, root, ...more] = cert.match(/-----BEGIN[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
    t.same(more, [], time);
    t.ok(new X509Certificate(leaf ?? '').checkIssued(new X509Certificate(root ?? '')));
    const { raw } = new X509Certificate(root ?? '');
    t.ok(authority.fingerprint.equals(createHash('sha256').update(raw).digest()));
  }
});

t.test('certificates begin in the past, by a day or a tenth of their life', async (t) => {
  const nowMs = Date.UTC(2026, 0, 1);
  const authority = await Authority.open(t.testdir(), () => nowMs, true);
  for (const [lifeS, backS] of [
    [90 * DAY_S, DAY_S],
    [100, 10],
  ] as const) {
    const { certificate } = await authority.certify(DEVICE, newKey(), lifeS);
    const { validFromDate, validToDate } = new X509Certificate(certificate);
    t.equal(validFromDate.getTime(), nowMs - backS * 1000);
    t.equal(validToDate.getTime(), nowMs + lifeS * 1000);
  }
});
