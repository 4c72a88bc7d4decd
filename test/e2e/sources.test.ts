// Sources that fail, with the real agent: each stretch without pictures reaches the owner as a gap
// with its reason, and recording goes on by itself when the source does.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '../free-port.ts';
import { FILE, startAgent } from './agent.ts';
import { type Gap, House } from './house.ts';
import {
  CAMERA,
  captures,
  commandLine,
  descendants,
  eventually,
  FILE_TIMEOUT_MS,
  isAlive,
  MOTION,
  procFile,
  type Running,
} from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const house = await House.open(t);

/** A camera of the owner that may record. */
async function consented(name: string) {
  const camera = await house.addDevice(name);
  await house.grant(camera.id, 'video', 'audio');
  return camera;
}

async function storedAfter(id: string, count: number, agent: Running): Promise<void> {
  const more = async () => (await house.device(id)).segments > count;
  await eventually(`more than ${count} segments`, more, undefined, () => agent.tail());
}

/** Waits until the owner sees a gap like this. */
async function gapLike(id: string, like: Partial<Gap>, agent: Running): Promise<Gap> {
  let found: Gap | undefined;
  const isThere = async () => {
    const { gaps } = await house.stored(id);
    found = gaps.find(
      (gap) =>
        (!like.reason || gap.reason === like.reason) && (!like.code || gap.code === like.code),
    );
    return found !== undefined;
  };
  await eventually(`a gap ${JSON.stringify(like)}`, isThere, undefined, () => agent.tail());
  if (found === undefined) throw new Error('no gap');
  return found;
}

const folder = (): string => join(house.folder, '..');

/** A network camera on a port; ended with the test. */
async function networkCamera(t: Test, port: number, ...args: readonly string[]) {
  const child = spawn('/usr/bin/python3', [CAMERA, String(port), '--audio', 'none', ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
  });
  await once(child.stdout, 'data');
  return child;
}

const rtsp = (port: number, credentialsFile: string | null = null) => ({
  ...{
    type: 'rtsp',
    url: `rtsp://127.0.0.1:${port}/cam`,
    credentialsFile,
    transport: 'tcp',
    latencyMs: 100,
  },
});

t.test(
  'a source that is missing at first is recorded once it is there, and the time before is a gap',
  async (t) => {
    const camera = await consented('late');
    const path = join(folder(), 'late.mov');
    const agent = startAgent(t, camera, { source: { ...FILE, path } });
    await agent.says(
      /CAPTURE_NO_SOURCE.*"capture broken off|capture broken off.*CAPTURE_NO_SOURCE/,
    );
    await agent.says('check source.path');
    cpSync(MOTION, path);
    await storedAfter(camera.id, 0, agent);
    await gapLike(camera.id, { reason: 'source_lost', code: 'CAPTURE_NO_SOURCE' }, agent);
    t.equal(await agent.kill('SIGTERM'), 0);
  },
);

t.test('a camera node that does not exist is said, and the rest goes on', async (t) => {
  const camera = await consented('node');
  const source = { type: 'v4l2', device: '/dev/video63', format: 'raw' };
  const agent = startAgent(t, camera, { source, audio: 'none' });
  await agent.says('/dev/video63');
  await agent.says(/"code":"CAPTURE_NO_SOURCE"/);
  t.equal(await agent.kill('SIGTERM'), 0);
  await gapLike(camera.id, { reason: 'source_lost', code: 'CAPTURE_NO_SOURCE' }, agent);
});

t.test(
  'a file that is no recording, or only the head of one, is said; nothing is stored of it',
  async (t) => {
    const camera = await consented('corrupt');
    const path = join(folder(), 'corrupt.mov');
    writeFileSync(path, Buffer.alloc(100_000, 'no recording '));
    const agent = startAgent(t, camera, { source: { ...FILE, path } });
    await agent.says(/"code":"CAPTURE_(UNSUPPORTED|FAILED|NO_SOURCE)"/);
    t.equal((await house.device(camera.id)).segments, 0);
    cpSync(MOTION, path);
    await storedAfter(camera.id, 0, agent);
    t.equal(await agent.kill('SIGTERM'), 0);
  },
);

t.test(
  'a network camera that hangs is noticed within five seconds; when it wakes, recording goes on',
  async (t) => {
    const camera = await consented('hangs');
    const port = await freePort();
    const server = await networkCamera(t, port);
    const agent = startAgent(t, camera, { source: rtsp(port), audio: 'none' });
    await storedAfter(camera.id, 0, agent);
    server.kill('SIGSTOP');
    const startMs = performance.now();
    await agent.says('capture broken off');
    const tookMs = Math.round(performance.now() - startMs);
    t.ok(tookMs <= 5000, `noticed after ${tookMs} ms`);
    server.kill('SIGCONT');
    const { segments } = await house.device(camera.id);
    await storedAfter(camera.id, segments, agent);
    const gap = await gapLike(
      camera.id,
      { reason: 'source_stalled', code: 'CAPTURE_STALLED' },
      agent,
    );
    t.ok(gap.durationUs > 2e6, `a gap of ${gap.durationUs / 1e6} s`);
    t.equal(await agent.kill('SIGTERM'), 0);
  },
);

t.test('a network camera that is killed is recorded again when it is back', async (t) => {
  const camera = await consented('killed');
  const port = await freePort();
  const first = await networkCamera(t, port);
  const agent = startAgent(t, camera, { source: rtsp(port), audio: 'none' });
  await storedAfter(camera.id, 0, agent);
  first.kill('SIGKILL');
  await agent.says('capture broken off');
  await networkCamera(t, port);
  const { segments } = await house.device(camera.id);
  await storedAfter(camera.id, segments, agent);
  await gapLike(camera.id, { reason: 'source_lost' }, agent);
  t.equal(await agent.kill('SIGTERM'), 0);
});

t.test('a wrong password is said, and neither it nor the user shows up anywhere', async (t) => {
  const camera = await consented('password');
  const port = await freePort();
  await networkCamera(t, port, '--digest', 'viewer:the-right-one');
  const secret = join(folder(), 'credentials');
  writeFileSync(secret, 'viewer-canary:hunter2-canary\n', { mode: 0o600 });
  const agent = startAgent(t, camera, { source: rtsp(port, secret), audio: 'none' });
  let seen = '';
  const look = setInterval(() => {
    for (const pid of [agent.pid, ...descendants(agent.pid)])
      seen += commandLine(pid) + procFile(pid, 'environ');
  }, 20);
  t.teardown(() => clearInterval(look));
  await agent.says('"CAPTURE_UNAUTHORIZED"');
  writeFileSync(secret, 'viewer:the-right-one\n', { mode: 0o600 });
  await storedAfter(camera.id, 0, agent);
  clearInterval(look);
  t.match(seen, 'capture/child.ts', 'the child was looked at too');
  await gapLike(camera.id, { reason: 'source_lost', code: 'CAPTURE_UNAUTHORIZED' }, agent);
  t.equal(await agent.kill('SIGTERM'), 0);
  for (const text of [seen, agent.err, agent.out, house.server.err])
    t.notMatch(text, /canary|the-right-one/);
});

t.test('a capture process that is killed is replaced, and the time between is a gap', async (t) => {
  const camera = await consented('crashed');
  const agent = startAgent(t, camera);
  await storedAfter(camera.id, 0, agent);
  const [pid = 0] = captures(agent.pid);
  process.kill(pid, 'SIGKILL');
  const { segments } = await house.device(camera.id);
  await storedAfter(camera.id, segments + 1, agent);
  await gapLike(camera.id, { reason: 'capture_crashed' }, agent);
  t.equal(await agent.kill('SIGTERM'), 0);
});

t.test('SIGTERM: the segment under way is stored, and no process is left', async (t) => {
  const camera = await consented('stopped');
  const agent = startAgent(t, camera);
  await storedAfter(camera.id, 1, agent);
  const all = descendants(agent.pid);
  const atUs = Date.now() * 1000;
  t.equal(await agent.kill('SIGTERM'), 0);
  t.notOk(all.some(isAlive), 'no child');
  const last = (await house.stored(camera.id)).segments.at(-1);
  const endUs = (last?.startAtUs ?? 0) + (last?.durationUs ?? 0);
  t.ok(
    endUs > atUs - 700_000,
    `recorded until ${Math.round((atUs - endUs) / 1000)} ms before the signal`,
  );
});
