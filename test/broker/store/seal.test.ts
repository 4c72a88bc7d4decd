import { randomBytes } from 'node:crypto';
import t from 'tap';
import { SEAL_OVERHEAD_BYTES, seal, unseal } from '../../../broker/store/seal.ts';

const key = Buffer.alloc(32, 7);
const identity = ['segment', 'account', 'device', 'stream', '1', '2'];

t.test('what was sealed opens to the same bytes', async (t) => {
  for (const bytes of [0, 1, 32 * 1024, 100_001]) {
    const plain = randomBytes(bytes);
    const sealed = Buffer.concat(seal(key, identity, plain));
    t.equal(sealed.length, bytes + SEAL_OVERHEAD_BYTES);
    t.ok(unseal(key, identity, sealed).equals(plain), `${bytes} bytes`);
  }
});

t.test('it does not open under another identity, with another key, cut or changed', async (t) => {
  const sealed = Buffer.concat(seal(key, identity, Buffer.from('private')));
  const corrupt = { code: 'STORE_CORRUPT' };
  for (const [position] of identity.entries())
    t.throws(() => unseal(key, identity.with(position, 'other'), sealed), corrupt);
  t.throws(() => unseal(key, [...identity.slice(0, 4), '12'], sealed), corrupt, 'shifted parts');
  t.throws(() => unseal(Buffer.alloc(32, 8), identity, sealed), corrupt);
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    t.throws(() => unseal(key, identity, changed), corrupt);
    t.throws(() => unseal(key, identity, sealed.subarray(0, at)), corrupt);
  }
});
