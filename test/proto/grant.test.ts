import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { signGrant, verifyGrant } from '../../proto/grant.ts';

const deviceId = 'cam-abcdefghijklmnop';
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const grant = {
  deviceId,
  epoch: 9,
  granted: new Map([['video', 4]] as const),
  policySha256: new Uint8Array(32).fill(1),
  issuedAtUs: 1,
  leaseS: 60,
  infoFields: [],
} as const;

t.test('a grant is valid for its device and the key that signed it only', async (t) => {
  const bytes = signGrant(grant, privateKey);
  t.equal(verifyGrant(bytes, publicKey, deviceId).epoch, 9);
  const invalid = { code: 'GRANT_INVALID' };
  t.throws(() => verifyGrant(bytes, publicKey, 'cam-ponmlkjihgfedcba'), invalid);
  t.throws(() => verifyGrant(bytes, generateKeyPairSync('ed25519').publicKey, deviceId), invalid);
});

t.test('a grant cut or changed at any byte is not valid', async (t) => {
  const bytes = signGrant(grant, privateKey);
  for (let at = 0; at < bytes.length; at++) {
    t.throws(() => verifyGrant(bytes.subarray(0, at), publicKey, deviceId), {
      code: 'GRANT_INVALID',
    });
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    t.throws(() => verifyGrant(changed, publicKey, deviceId), { code: 'GRANT_INVALID' });
  }
});

t.test('scopes without a policy are not valid', async (t) => {
  const bytes = signGrant({ ...grant, policySha256: new Uint8Array(0) }, privateKey);
  t.throws(() => verifyGrant(bytes, publicKey, deviceId), { code: 'GRANT_INVALID' });
});
