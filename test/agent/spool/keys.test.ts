// The file of the keys: what it says, and what is made of one that is damaged or of another version.
import { mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  decodeKeyFile,
  encodeKeyFile,
  Keyring,
  keyFrom,
  readKeyFile,
  setOf,
} from '../../../agent/spool/keys.ts';
import { bytesFrom, DEVICE } from './records.ts';

const keys = new Map([
  ['video', keyFrom(bytesFrom('key 1', 32))],
  ['video,audio', keyFrom(bytesFrom('key 2', 32))],
]);
const text = encodeKeyFile({ deviceId: DEVICE, keys });
const idsOf = (file: { keys: ReadonlyMap<string, { id: number }> } | null) =>
  [...(file?.keys ?? [])].map(([set, { id }]) => `${set} ${id}`);

t.test('keys are read as they were written', async (t) => {
  const back = decodeKeyFile(text);
  t.equal(back.deviceId, DEVICE);
  t.same(idsOf(back), idsOf({ keys }));
  t.same(idsOf(decodeKeyFile(encodeKeyFile({ deviceId: DEVICE, keys: new Map() }))), []);
});

t.test('the file is the one of version 1', async (t) => {
  t.match(JSON.parse(text), {
    version: 1,
    deviceId: DEVICE,
    keys: {
      video: '6a3QKJ8jxPaTkAXKYGLJsp8Irq1N0t+yvTJEXEAQTdk=',
      'video,audio': 'LeVMp5vb6MfXmPMyJF7/sTXA3Shz2OAOzQ9prvkrBgw=',
    },
    check: /^[0-9a-f]{64}$/,
  });
  t.equal(setOf(['audio', 'video']), 'video,audio', 'the order of scopes does not matter');
});

t.test('a file of another version is refused by name, with or without a check', async (t) => {
  for (const other of ['{"version":2}', '{"version":0,"deviceId":"cam-a","keys":{}}'])
    t.throws(() => decodeKeyFile(other), {
      code: 'STORE_FAILED',
      message: /a spool of version [02]; this agent reads 1/,
    });
});

t.test(
  'a file with any byte changed or cut off is damaged, whatever it seems to say',
  async (t) => {
    const bytes = Buffer.from(text);
    const isDamaged = (changed: Buffer) => {
      try {
        decodeKeyFile(changed.toString('utf8'));
        return false;
      } catch (error) {
        return error instanceof Error && 'code' in error && error.code === 'STORE_CORRUPT';
      }
    };
    const passed: string[] = [];
    for (let at = 0; at < bytes.length; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) {
        const changed = Buffer.from(bytes);
        changed.writeUInt8(changed.readUInt8(at) ^ (1 << bit), at);
        if (!isDamaged(changed)) passed.push(`bit ${bit} of ${at}`);
      }
      // Without the line feed at its end it is as good.
      if (at < bytes.length - 1 && !isDamaged(bytes.subarray(0, at))) passed.push(`cut at ${at}`);
    }
    t.same(passed, []);
  },
);

t.test('a key is on disk before it is given, for its owner alone', async (t) => {
  const folder = t.testdir();
  const ring = new Keyring(folder, DEVICE, new Map());
  t.equal(readKeyFile(folder), null);
  const key = ring.obtain('video');
  t.same(idsOf(readKeyFile(folder)), [`video ${key.id}`]);
  t.equal(statSync(join(folder, 'key')).mode & 0o777, 0o600);
  t.equal(ring.obtain('video').id, key.id);
  t.not(ring.obtain('video,audio').id, key.id, 'another set has another key');
});

t.test('a key that nothing needs is destroyed, and the next one is new', async (t) => {
  const folder = t.testdir();
  const ring = new Keyring(folder, DEVICE, new Map());
  const first = ring.obtain('video');
  ring.count('video', 1);
  const other = ring.obtain('video,audio');
  ring.destroyUnused();
  t.same(idsOf(readKeyFile(folder)), [`video ${first.id}`]);
  t.equal(ring.byId(other.id), undefined);
  ring.count('video', -1);
  ring.destroyUnused();
  t.same(idsOf(readKeyFile(folder)), [], 'an empty file tells that they were destroyed');
  t.not(ring.obtain('video').id, first.id);
});

t.test('after a save that failed nothing is sealed with what may not be on disk', async (t) => {
  const folder = join(t.testdir(), 'spool');
  mkdirSync(folder);
  const ring = new Keyring(folder, DEVICE, new Map());
  const first = ring.obtain('video');
  ring.count('video', 1);
  // A folder in the place of the file to be: it cannot be saved.
  mkdirSync(join(folder, 'key.new'));
  t.throws(() => ring.obtain('audio'), { code: 'STORE_FAILED' });
  t.throws(() => ring.obtain('video'), { code: 'STORE_FAILED' }, 'it is saved anew first');
  rmdirSync(join(folder, 'key.new'));
  writeFileSync(join(folder, 'key'), 'who knows');
  t.equal(ring.obtain('video').id, first.id);
  t.match(readFileSync(join(folder, 'key'), 'utf8'), /"video":/);
});
