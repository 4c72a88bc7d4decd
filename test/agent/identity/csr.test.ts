// Certificate requests as two other implementations read them.
import 'reflect-metadata';
import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, webcrypto } from 'node:crypto';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import t from 'tap';
import { makeRequest } from '../../../agent/identity/csr.ts';

t.test('a request is for its key and for nothing else', async (t) => {
  // The length of a signature varies: enough of them to meet each.
  for (let i = 0; i < 40; i += 1) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const request = new Pkcs10CertificateRequest(makeRequest(privateKey));
    t.ok(await request.verify(webcrypto));
    t.equal(request.subject, 'CN=lenscap');
    t.same([request.attributes.length, request.extensions.length], [0, 0]);
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
    t.ok(spki.equals(Buffer.from(request.publicKey.rawData)));
  }
});

t.test('OpenSSL verifies it', async (t) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const text = execFileSync('openssl', ['req', '-inform', 'DER', '-verify', '-noout', '-text'], {
    input: makeRequest(privateKey),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  t.match(text, /Subject: CN ?= ?lenscap/);
  t.match(text, /NIST CURVE: P-256/);
});
