// A disk that fills up under the server: nothing is acknowledged that is not stored, consent and
// deletion go on working, and all recovers when there is room. The disk is a small tmpfs; without the
// right to mount one, the test runs itself again in a namespace in which it is root.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Run, TestDevice } from './device.ts';
import { House } from './house.ts';
import { eventually, FILE_TIMEOUT_MS } from './processes.ts';

const DISK_MB = 24;
const MIN_FREE = 1 << 20;
const SEGMENT = 400_000;

function mount(folder: string): boolean {
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MB}m`, 'tmpfs', folder]);
  return status === 0;
}

const top = mkdtempSync(join(tmpdir(), 'lenscap-disk-'));
const disk = join(top, 'disk');
mkdirSync(disk);
if (!mount(disk)) {
  rmSync(top, { recursive: true });
  const again = ['-rm', process.execPath, ...process.argv.slice(1)];
  const env = { ...process.env, LENSCAP_IN_NAMESPACE: '1' };
  if (process.env.LENSCAP_IN_NAMESPACE) throw new Error('no tmpfs can be mounted here');
  process.exit(spawnSync('unshare', again, { stdio: 'inherit', env }).status ?? 1);
}
t.setTimeout(FILE_TIMEOUT_MS);
t.teardown(async () => {
  for (let i = 0; i < 50; i++) {
    if (spawnSync('umount', [disk]).status === 0) break;
    await sleep(100);
  }
  rmSync(top, { recursive: true, force: true });
});

const house = await House.open(t, { store: { minFreeBytes: MIN_FREE } }, join(disk, 'data'));
const camera = await house.addDevice('camera');
const epoch = await house.grant(camera.id, 'video', 'audio');
const run = new Run(epoch);
const acked: string[] = [];
let waiting = run.next(SEGMENT);
let device = await TestDevice.connect(camera.bundle);
t.match(await device.publish('stream', run.streamPayload), {
  outcome: 'acked',
  codes: { length: 0 },
});

/** Sends until it is refused; returns the refusal. */
async function fill() {
  for (;;) {
    if (device.isClosed) device = await TestDevice.connect(camera.bundle);
    const answer = await device.publish('segment', waiting.payload);
    if (answer.outcome !== 'acked' || answer.codes.length > 0) return answer;
    acked.push(Buffer.from(waiting.header.sha256).toString('hex'));
    waiting = run.next(SEGMENT);
  }
}

async function storedHashes(): Promise<string[]> {
  return (await house.stored(camera.id)).segments.map(({ sha256 }) => sha256).sort();
}

t.test(
  'a full disk: not acknowledged, STORE_FULL, to be sent again, said in the log',
  async (t) => {
    const answer = await fill();
    t.match(answer, { outcome: 'closed', codes: ['STORE_FULL'], verdicts: [{ erase: false }] });
    t.ok(acked.length > 10, `${acked.length} segments fitted`);
    await house.server.says(/"code":"STORE_FULL"/);
    t.strictSame(
      await storedHashes(),
      [...acked].sort(),
      'what was acknowledged is there, nothing else',
    );
    t.match(await fill(), { outcome: 'closed', codes: ['STORE_FULL'] }, 'the next one as well');
  },
);

t.test('at a full disk the owner sees, withdraws and consents', async (t) => {
  for (let turn = 0; turn < 5; turn++) {
    const withdrawn = await house.withdraw(camera.id, 'audio');
    t.equal(await house.grant(camera.id, 'audio'), withdrawn + 1);
  }
  t.strictSame((await storedHashes()).length, acked.length);
});

t.test('at a full disk the owner deletes, and what is freed is used', async (t) => {
  const { segments } = await house.stored(camera.id);
  const [first, second] = segments;
  const { deleted } = await house.ask<{ deleted: number }>(
    'DELETE',
    `/api/devices/${camera.id}/segments/${first?.streamId}/${first?.sequence}`,
  );
  t.equal(deleted, 1);
  const until = new Date(((segments[10]?.startAtUs ?? 0) - 1) / 1000).toISOString();
  const range = `from=${new Date(((second?.startAtUs ?? 0) - 1000) / 1000).toISOString()}&to=${until}`;
  const many = await house.ask<{ deleted: number }>(
    'DELETE',
    `/api/devices/${camera.id}/segments?${range}`,
  );
  t.ok(many.deleted >= 8, `${many.deleted} more`);
  const gone = new Set(segments.slice(0, 1 + many.deleted).map(({ sha256 }) => sha256));
  acked.splice(0, acked.length, ...acked.filter((sha256) => !gone.has(sha256)));
  const before = acked.length;
  t.match(await fill(), { codes: ['STORE_FULL'] });
  t.ok(acked.length > before + 3, `${acked.length - before} segments more`);
  t.strictSame(await storedHashes(), [...acked].sort());
});

t.test(
  'a disk without a single free byte: nothing is acknowledged, the server lives, a withdrawal holds',
  async (t) => {
    const ballast = join(disk, 'ballast');
    spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=4096']);
    t.match(await fill(), { outcome: 'closed', codes: ['STORE_FULL'] });
    const path = `/api/devices/${camera.id}/consent/withdraw`;
    const response = await house.fetch('POST', path, {});
    t.comment(
      `a withdrawal without a free byte: ${response.status} ${(await response.text()).slice(0, 120)}`,
    );
    rmSync(ballast);
    t.notOk(house.server.hasEnded);
    if (!response.ok) await house.withdraw(camera.id);
    t.equal((await house.device(camera.id)).cap, 'on');
    t.strictSame(await storedHashes(), [...acked].sort());
  },
);

t.test('with room again all goes on, also after a restart', async (t) => {
  const { segments } = await house.stored(camera.id);
  const { streamId, sequence } = segments[0] ?? { streamId: '', sequence: 0 };
  await house.ask('DELETE', `/api/devices/${camera.id}/segments/${streamId}/${sequence}`);
  await house.ask(
    'DELETE',
    `/api/devices/${camera.id}/segments/${segments[1]?.streamId}/${segments[1]?.sequence}`,
  );
  t.equal(await house.server.kill('SIGTERM'), 0);
  await house.start();
  const now = await house.grant(camera.id, 'video');
  const fresh = new Run(now);
  device = await TestDevice.connect(camera.bundle);
  t.match(await device.publish('stream', fresh.streamPayload), {
    outcome: 'acked',
    codes: { length: 0 },
  });
  t.match(await device.publish('segment', fresh.next(10_000).payload), {
    outcome: 'acked',
    codes: { length: 0 },
  });
  await eventually('it is there', async () => (await storedHashes()).length === acked.length - 1);
  t.match(await house.verify(), { code: 0, faults: { length: 0 } });
  const used = execFileSync('df', ['--output=used', '-BM', disk]).toString().split('\n')[1]?.trim();
  t.comment(`${used} used of ${DISK_MB} MB`);
});
