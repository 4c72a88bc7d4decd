// The proof of a claim binds the secret, this TLS session and the request together.
import { randomBytes } from 'node:crypto';
import t from 'tap';
import {
  claimIdOf,
  decodeClaimAnswer,
  decodeClaimRequest,
  encodeClaimAnswer,
  encodeClaimRequest,
  isProof,
  proofKeyOf,
  proofOf,
} from '../../proto/claim.ts';
import { parseExchangeId } from '../../proto/topics.ts';

const secret = Buffer.alloc(16, 0x5e);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

t.test('names and keys of a claim follow from its secret alone', async (t) => {
  t.equal(claimIdOf(secret), 'claim-54qn34aatovu7mf6');
  t.equal(
    hex(proofKeyOf(secret)),
    '208f56fe9457fd75a4b184939f7c6cb9ac33dd1a779ea207b4223a82e8f75283',
  );
  t.same(parseExchangeId(claimIdOf(secret)), { kind: 'claim', claimId: claimIdOf(secret) });
  t.not(claimIdOf(randomBytes(16)), claimIdOf(secret));
});

t.test('a proof holds for its key, its session and its request only', async (t) => {
  const key = proofKeyOf(secret);
  const session = Buffer.alloc(32, 1);
  const csr = Buffer.from('a request');
  const proof = proofOf(key, session, csr);
  t.equal(hex(proof), 'f1f06e785ada78ca3eeb7c03b2c171ffd2121d9d00bab3edf42dd1e31103ef9d');
  t.ok(isProof(proof, proofOf(key, session, csr)));
  for (const [what, other] of Object.entries({
    'another secret': proofOf(proofKeyOf(randomBytes(16)), session, csr),
    'another session': proofOf(key, Buffer.alloc(32, 2), csr),
    'another request': proofOf(key, session, Buffer.from('another')),
    nothing: Buffer.alloc(0),
    'a part of it': proof.subarray(0, 31),
  }))
    t.notOk(isProof(other, proof), what);
});

const request = { csr: Buffer.from('csr'), proof: Buffer.alloc(32, 7), deviceId: null };
const issued = {
  kind: 'issued',
  deviceId: 'cam-abcdefghijklmnop',
  certificate: 'certificate',
  ca: 'ca',
  consentKey: 'key',
  server: { host: 'localhost', port: 8883 },
} as const;
const refused = {
  kind: 'refused',
  code: 'CLAIM_WAITING',
  detail: 'no owner yet',
  retryAfterS: 10,
} as const;

t.test('requests and answers come through as they were', async (t) => {
  for (const deviceId of [null, 'cam-abcdefghijklmnop']) {
    const decoded = decodeClaimRequest(encodeClaimRequest({ ...request, deviceId }));
    t.same(
      { ...decoded, csr: hex(decoded.csr), proof: hex(decoded.proof) },
      { csr: hex(request.csr), proof: hex(request.proof), deviceId },
    );
  }
  t.same(decodeClaimAnswer(encodeClaimAnswer(issued)), issued);
  t.same(decodeClaimAnswer(encodeClaimAnswer(refused)), refused);
});

t.test('requests and answers out of their range are refused', async (t) => {
  const bad = { code: 'DECODE_INVALID' };
  for (const change of [
    { csr: Buffer.alloc(0) },
    { csr: Buffer.alloc(2049) },
    { proof: Buffer.alloc(31) },
    { deviceId: 'cam-../../etc' },
  ])
    t.throws(() => decodeClaimRequest(encodeClaimRequest({ ...request, ...change })), bad);
  for (const change of [
    { deviceId: 'cam-X' },
    { certificate: 'x'.repeat(20_000) },
    { server: { host: 'h', port: 0 } },
    { server: { host: 'h', port: 70_000 } },
  ])
    t.throws(() => decodeClaimAnswer(encodeClaimAnswer({ ...issued, ...change })), bad);
  t.throws(() => decodeClaimAnswer(encodeClaimAnswer({ ...refused, retryAfterS: 1e6 })), bad);
});
