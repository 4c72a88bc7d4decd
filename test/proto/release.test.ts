// Release, renewal and information: signed where it matters, checked everywhere.
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { signGrant } from '../../proto/grant.ts';
import { decodeInfo, encodeInfo } from '../../proto/info.ts';
import {
  decodeReleased,
  encodeReleased,
  RELEASE_CAUSES,
  signRelease,
  verifyRelease,
} from '../../proto/release.ts';
import { decodeRenewal, decodeRenewed, encodeRenewal, encodeRenewed } from '../../proto/renewal.ts';
import { infoOf } from './tellings.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const deviceId = 'cam-abcdefghijklmnop';
const release = { deviceId, epoch: 4 };

t.test('a release is believed only as signed, and only by the device that it is for', async (t) => {
  const bytes = signRelease(release, privateKey);
  t.same(verifyRelease(bytes, publicKey, deviceId), release);
  const refused = { code: 'GRANT_INVALID' };
  const other = generateKeyPairSync('ed25519');
  t.throws(() => verifyRelease(bytes, other.publicKey, deviceId), refused, 'another key');
  t.throws(() => verifyRelease(bytes, publicKey, 'cam-aaaaaaaaaaaaaaaa'), refused, 'other device');
  const grant = {
    ...release,
    granted: new Map(),
    policySha256: new Uint8Array(),
    issuedAtUs: 1,
    leaseS: 1,
    infoFields: [],
  };
  t.throws(
    () => verifyRelease(signGrant(grant, privateKey), publicKey, deviceId),
    refused,
    'a grant',
  );
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes);
    flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
    try {
      t.same(
        verifyRelease(flipped, publicKey, deviceId),
        release,
        `bit at ${at}: the same meaning`,
      );
    } catch (error) {
      t.match(error, refused, `bit at ${at}`);
    }
    t.throws(
      () => verifyRelease(bytes.subarray(0, at), publicKey, deviceId),
      refused,
      `cut at ${at}`,
    );
  }
});

t.test('causes, renewals and information come through as they were', async (t) => {
  for (const cause of RELEASE_CAUSES) t.equal(decodeReleased(encodeReleased(cause)), cause);
  t.same(Buffer.from(decodeRenewal(encodeRenewal(Buffer.from('csr')))).toString(), 'csr');
  const issued = { kind: 'issued', certificate: 'pem' } as const;
  t.same(decodeRenewed(encodeRenewed(issued)), issued);
  const refused = { kind: 'refused', code: 'CSR_INVALID', detail: 'RSA' } as const;
  t.same(decodeRenewed(encodeRenewed(refused)), refused);
  const info = infoOf(2);
  t.same(decodeInfo(encodeInfo(info)), info);
});

t.test('what is out of its range is refused', async (t) => {
  const bad = { code: 'DECODE_INVALID' };
  t.throws(() => decodeReleased(Buffer.alloc(0)), bad, 'no cause');
  t.throws(() => decodeReleased(Buffer.from([8, 9])), bad, 'an unknown cause');
  t.throws(() => decodeRenewal(encodeRenewal(Buffer.alloc(3000))), bad);
  t.throws(() => decodeRenewal(Buffer.alloc(0)), bad);
  t.throws(() => decodeRenewed(Buffer.alloc(0)), bad, 'neither issued nor refused');
  t.throws(() => decodeInfo(encodeInfo(infoOf(0))), bad);
});
