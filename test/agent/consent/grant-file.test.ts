// The saved grant under damage, a full disk and a kill at every step.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  decodeGrantFile,
  encodeGrantFile,
  readGrantFile,
} from '../../../agent/consent/grant-file.ts';
import { grant, makeGate } from './grants.ts';

const saved = {
  receivedAtUs: 1_800_000_000_000_000,
  payload: grant(3, ['video']),
};

t.test('what was written is read back', async (t) => {
  const back = decodeGrantFile(encodeGrantFile(saved));
  t.same({ ...back, payload: Uint8Array.from(back.payload) }, saved);
});

t.test('a file cut at any byte leaves the cap on and throws nothing', async (t) => {
  const dir = t.testdir();
  const whole = encodeGrantFile(saved);
  let opened = 0;
  for (let length = 0; length < whole.length; length += 1) {
    writeFileSync(join(dir, 'grant'), whole.subarray(0, length));
    if (makeGate(dir).gate.permit() !== null) opened += 1;
  }
  t.equal(opened, 0);
  writeFileSync(join(dir, 'grant'), whole);
  t.ok(makeGate(dir).gate.permit());
});

t.test('a file with any byte changed leaves the cap on and throws nothing', async (t) => {
  const dir = t.testdir();
  const whole = encodeGrantFile(saved);
  let opened = 0;
  for (let at = 0; at < whole.length; at += 1) {
    const damaged = Buffer.from(whole);
    damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << (at % 8)), at);
    writeFileSync(join(dir, 'grant'), damaged);
    if (makeGate(dir).gate.permit() !== null) opened += 1;
  }
  t.equal(opened, 0);
});

t.test('a well-formed file with the grant of another device leaves the cap on', async (t) => {
  const dir = t.testdir();
  const other = grant(3, ['video'], { deviceId: 'cam-aaaaaaaaaaaaaaaa' });
  writeFileSync(join(dir, 'grant'), encodeGrantFile({ ...saved, payload: other }));
  t.equal(makeGate(dir).gate.permit(), null);
});

t.test('a folder in the place of the file leaves the cap on', async (t) => {
  const dir = t.testdir({ grant: {} });
  t.equal(makeGate(dir).gate.permit(), null);
});

const writer = new URL('./write-grant.ts', import.meta.url).pathname;
const before = { epoch: 1, bytes: encodeGrantFile({ ...saved, payload: grant(1, ['video']) }) };

t.test('a kill at any system call leaves the old grant or the new one', async (t) => {
  const outcomes = new Set<string>();
  for (const call of ['write', 'fsync', 'rename'])
    for (const at of [1, 2]) {
      const dir = t.testdir({ state: {} });
      const state = join(dir, 'state');
      writeFileSync(join(state, 'grant'), before.bytes);
      const payload = join(dir, 'payload');
      writeFileSync(payload, encodeGrantFile({ ...saved, payload: grant(2, ['video']) }));
      const run = spawnSync(
        'strace',
        [
          '-f',
          '-qq',
          '-o',
          '/dev/null',
          '-P',
          state,
          '-P',
          join(state, 'grant.new'),
          '-P',
          join(state, 'grant'),
        ].concat([
          '-e',
          `inject=${call}:signal=SIGKILL:when=${at}`,
          process.execPath,
          writer,
          state,
          payload,
        ]),
        { env: { ...process.env, UV_THREADPOOL_SIZE: '1' } },
      );
      const left = readFileSync(join(state, 'grant'));
      const isOld = left.equals(before.bytes);
      const isNew = left.equals(readFileSync(payload));
      t.ok(isOld || isNew, `${call} ${at}`);
      t.doesNotThrow(() => readGrantFile(state));
      outcomes.add(
        `${run.signal === null && run.status === 0 ? 'done' : 'killed'} ${isNew ? 'new' : 'old'}`,
      );
    }
  t.ok(outcomes.has('killed old') && outcomes.has('killed new'), [...outcomes].join(', '));
});

t.test('on a full disk the old grant stays, and the failure is named', async (t) => {
  const dir = t.testdir({ state: {} });
  const state = join(dir, 'state');
  mkdirSync(state, { recursive: true });
  const payload = join(dir, 'payload');
  writeFileSync(payload, encodeGrantFile({ ...saved, payload: grant(2, ['video']) }));
  writeFileSync(join(dir, 'old'), before.bytes);
  const script = `mount -t tmpfs -o size=16k tmpfs "$1" && cp "$2" "$1/grant" && { cat /dev/zero > "$1/filler" 2>/dev/null || true; }
    "$3" "$4" "$1" "$5"; echo "status $?"; cmp "$1/grant" "$2" && echo same`;
  const out = execFileSync(
    'unshare',
    ['-rm', 'sh', '-c', script, 'sh', state, join(dir, 'old'), process.execPath, writer, payload],
    { encoding: 'utf8' },
  );
  t.match(out, /STORE_FULL[\s\S]*same/);
});
