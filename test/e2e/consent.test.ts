// Consent as its owner sees it, with the real agent: nothing is opened before it, nothing goes on
// after it, and each kind of data stands for itself.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { FILE, isCapturing, startAgent } from './agent.ts';
import { House } from './house.ts';
import {
  captures,
  eventually,
  FILE_TIMEOUT_MS,
  finished,
  isAlive,
  MOTION,
  type Running,
} from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const house = await House.open(t);

async function storedAfter(id: string, count: number): Promise<void> {
  await eventually(
    `more than ${count} segments`,
    async () => (await house.device(id)).segments > count,
  );
}

/** Lines of the trace that open the recording which stands for the camera. */
function opened(trace: string): number {
  return readFileSync(trace, 'utf8').split(MOTION).length - 1;
}

t.test('without consent the source is never opened; with it, it is', async (t) => {
  const camera = await house.addDevice('traced');
  const trace = join(house.folder, 'trace');
  const under = ['strace', '-D', '-f', '-qq', '-e', 'trace=open,openat,openat2', '-o', trace];
  const agent = startAgent(t, camera, { under });
  await agent.says('"connected"');
  await eventually(
    'the epoch is obeyed',
    async () => (await house.device(camera.id)).appliedEpoch > 0,
  );
  await house.grant(camera.id, 'audio', 'device_info');
  await eventually('that as well', async () => (await house.device(camera.id)).appliedEpoch === 2);
  t.equal(opened(trace), 0, 'not opened without consent to pictures');
  t.notMatch(readFileSync(trace, 'utf8'), /capture\/child|gstreamer/, 'nor is the means to');
  t.match(await house.stored(camera.id), { segments: { length: 0 }, gaps: { length: 0 } });
  await house.grant(camera.id, 'video');
  await storedAfter(camera.id, 0);
  t.ok(opened(trace) > 0, 'opened with consent');
  await house.withdraw(camera.id);
  await eventually('the capture ends', () => !isCapturing(agent));
  const before = opened(trace);
  await eventually('the withdrawal is obeyed', async () => {
    const { epoch, appliedEpoch } = await house.device(camera.id);
    return epoch === appliedEpoch;
  });
  t.equal(opened(trace), before, 'not opened again');
  await agent.kill('SIGKILL');
});

t.test('pictures alone have no sound; sound comes and goes with its own consent', async (t) => {
  const camera = await house.addDevice('sound');
  await house.grant(camera.id, 'video');
  const agent = startAgent(t, camera);
  await storedAfter(camera.id, 1);
  const silent = (await house.stored(camera.id)).segments;
  t.ok(
    silent.every(({ scopes }) => scopes.join() === 'video'),
    'no segment claims sound',
  );
  t.strictSame(await kinds(camera.id), ['video'], 'and none is in the media');

  const epoch = await house.grant(camera.id, 'audio');
  const withSound = async () =>
    (await house.stored(camera.id)).segments.filter(({ scopes }) => scopes.includes('audio'));
  await eventually('sound', async () => (await withSound()).length > 0);
  t.ok(
    (await withSound()).every((one) => one.epoch >= epoch),
    'only from its consent on',
  );

  const [before] = captures(agent.pid);
  await house.withdraw(camera.id, 'audio');
  const atUs = Date.now() * 1000;
  const count = (await withSound()).length;
  await eventually(
    'the capture with sound ends',
    () => before !== undefined && !isAlive(before),
    1000,
  );
  await eventually(
    'pictures go on',
    async () =>
      (await house.stored(camera.id)).segments.some(
        (one) => one.startAtUs > atUs && one.scopes.join() === 'video',
      ),
    undefined,
    () => agent.tail(),
  );
  t.equal((await withSound()).length, count, 'no more sound was stored');
  await agent.kill('SIGTERM');
});

/** Kinds of the streams that ffprobe finds in the export of everything. */
async function kinds(id: string): Promise<string[]> {
  const response = await house.fetch(
    'GET',
    `/api/devices/${id}/export?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z`,
  );
  const file = join(house.folder, 'export.mp4');
  writeFileSync(file, Buffer.from(await response.arrayBuffer()));
  const { out, err } = await finished([
    'ffprobe',
    '-v',
    'error',
    '-show_entries',
    'stream=codec_type',
    '-of',
    'csv=p=0',
    file,
  ]);
  if (err !== '') throw new Error(err);
  return out.trim().split('\n');
}

t.test(
  'a withdrawal ends the capture within a second; a wider consent does not disturb it',
  async (t) => {
    const camera = await house.addDevice('steady');
    await house.grant(camera.id, 'video');
    const agent = startAgent(t, camera, { audio: 'none' });
    await storedAfter(camera.id, 0);
    const [pid] = captures(agent.pid);
    const streams = async () =>
      new Set((await house.stored(camera.id)).segments.map(({ streamId }) => streamId));
    const epoch = await house.grant(camera.id, 'device_info', 'location');
    await eventually(
      'it is obeyed',
      async () => (await house.device(camera.id)).appliedEpoch === epoch,
    );
    await storedAfter(camera.id, (await house.device(camera.id)).segments + 1);
    t.equal((await streams()).size, 1, 'the same stream goes on');
    t.strictSame(captures(agent.pid), [pid], 'in the same process');
    const startMs = performance.now();
    await house.withdraw(camera.id);
    const answeredMs = performance.now();
    const { segments } = await house.device(camera.id);
    await eventually('the capture ends', () => !isCapturing(agent), 2000);
    const tookMs = Math.round(performance.now() - answeredMs);
    t.comment(
      `withdrawal answered in ${Math.round(answeredMs - startMs)} ms, capture ended ${tookMs} ms later`,
    );
    t.ok(tookMs <= 1000);
    await eventually('it is obeyed', async () => {
      const state = await house.device(camera.id);
      return state.appliedEpoch === state.epoch;
    });
    t.match(
      await house.device(camera.id),
      { segments, cap: 'on' },
      'nothing was stored after the answer',
    );
    await ends(agent);
  },
);

t.test('a policy that collects more suspends uploads until the owner agrees anew', async (t) => {
  const camera = await house.addDevice('policy');
  await house.grant(camera.id, 'video');
  const agent = startAgent(t, camera, { source: FILE, audio: 'none' });
  await storedAfter(camera.id, 0);
  const { document } = await house.ask<{
    document: { version: number; scopes: { video: { retentionDays: number } } };
  }>('GET', '/api/policy');
  const wider = structuredClone(document);
  wider.version += 1;
  wider.scopes.video.retentionDays += 1;
  const file = join(house.folder, 'policy.json');
  writeFileSync(file, JSON.stringify(wider));
  const { code, out } = await house.verb('policy', 'publish', file);
  t.equal(code, 0);
  t.match(out, camera.id, 'it names the device that waits');
  await eventually('the capture ends', () => !isCapturing(agent), 3000);
  const { segments } = await house.device(camera.id);
  const { records } = await house.ask<{ records: { event: string }[] }>(
    'GET',
    `/api/devices/${camera.id}/consent/log`,
  );
  t.equal(records.at(-1)?.event, 'SUSPENDED');
  await eventually('it is obeyed', async () => {
    const state = await house.device(camera.id);
    return state.appliedEpoch === state.epoch;
  });
  t.match(await house.device(camera.id), { cap: 'on', segments });
  await house.grant(camera.id, 'video');
  await storedAfter(camera.id, segments);
  await ends(agent);
});

async function ends(agent: Running): Promise<void> {
  t.equal(await agent.kill('SIGTERM'), 0, 'the agent ends in order');
}

t.test('the ledger is whole after all this', async (t) => {
  t.match(await house.verify(), { code: 0, faults: { length: 0 }, leftOver: { length: 0 } });
});
