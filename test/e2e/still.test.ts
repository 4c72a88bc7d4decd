// Still pictures have a consent of their own: with it alone the camera is opened for one picture, with
// its light on and its masks drawn, and closed again; nothing else of it is stored.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type AgentOptions, isCapturing, PICTURE, startAgent, writeConfig } from './agent.ts';
import { folderOf } from './folder.ts';
import { type Added, House } from './house.ts';
import { AGENT, eventually, FILE_TIMEOUT_MS, node, Running } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const house = await House.open(t);
const LEFT_HALF = [
  [0, 0],
  [0.5, 0],
  [0.5, 1],
  [0, 1],
];
const WHOLE = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
];
const WIDTH = 160;

const pathOf = ({ id }: Added): string => `/api/devices/${id}/snapshots`;
const isReady = async ({ id }: Added): Promise<boolean> => {
  const { connected, epoch, appliedEpoch } = await house.device(id);
  return connected && appliedEpoch === epoch;
};

async function take(camera: Added): Promise<Buffer> {
  const { snapshotId } = await house.ask<{ snapshotId: string }>('POST', pathOf(camera));
  const picture = await house.fetch('GET', `${pathOf(camera)}/${snapshotId}`);
  return Buffer.from(await picture.arrayBuffer());
}

/** Bytes of brightness, a row after the other. */
function brightness(jpeg: Buffer): Buffer {
  const file = join(folderOf(t), 'still.jpg');
  writeFileSync(file, jpeg);
  const raw = ['-f', 'rawvideo', '-pix_fmt', 'gray', '-'];
  return execFileSync('ffmpeg', ['-v', 'error', '-i', file, ...raw]);
}

/** An agent with a mask over the left half. */
function start(camera: Added, options: AgentOptions = {}): Running {
  const file = writeConfig(camera, { source: PICTURE, audio: 'none', ...options });
  const config = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, JSON.stringify({ ...config, masks: [LEFT_HALF] }));
  return new Running(t, node(AGENT, 'run', '--config', file), {});
}

t.test('with consent to still pictures alone one is taken, and nothing is recorded', async (t) => {
  const camera = await house.addDevice('stills');
  await house.grant(camera.id, 'snapshot');
  const agent = start(camera);
  await eventually('it is there', () => isReady(camera));
  t.notOk(isCapturing(agent), 'the camera is closed');
  const taking = take(camera);
  await eventually('the camera is opened', () => isCapturing(agent));
  const pixels = brightness(await taking);
  t.notOk(isCapturing(agent), 'and closed again');
  const masked = pixels.filter((_, at) => at % WIDTH < WIDTH / 2);
  const open = pixels.filter((_, at) => at % WIDTH >= WIDTH / 2 + 20);
  t.equal(masked.filter((value) => value > 20).length, 0, 'what is masked is black');
  t.ok(
    open.some((value) => value > 100),
    'the rest is not',
  );
  const lights = agent.err.split('\n').filter((line) => line.includes('"light"'));
  t.match(lights.join('\n'), /"on"/, 'its light was on');
  const { segments, gaps } = await house.stored(camera.id);
  t.same([segments, gaps], [[], []], 'nothing is recorded, and nothing is missed');
  t.match(await house.device(camera.id), { cap: 'off' });
  await house.withdraw(camera.id, 'snapshot');
  t.equal((await house.fetch('POST', pathOf(camera))).status, 403);
  t.match(await house.device(camera.id), { cap: 'on' });
  t.equal(await agent.kill('SIGTERM'), 0);
});

t.test('a camera that is not to record is opened for its owner who asks', async (t) => {
  const camera = await house.addDevice('resting');
  await house.grant(camera.id, 'video', 'snapshot');
  const agent = startAgent(t, camera, {
    ...{ source: PICTURE, audio: 'none', recording: { mode: 'off' } },
  });
  await eventually('it is there', () => isReady(camera));
  t.equal(brightness(await take(camera)).length % WIDTH, 0);
  t.equal(brightness(await take(camera)).length % WIDTH, 0, 'and again');
  t.notOk(isCapturing(agent));
  t.equal(await agent.kill('SIGTERM'), 0);
  const { segments, gaps } = await house.stored(camera.id);
  t.same(segments, []);
  t.same([...new Set(gaps.map(({ reason }) => reason))], ['not_wanted']);
});

t.test('a withdrawal while one is taken closes the camera at once', async (t) => {
  const camera = await house.addDevice('withdrawn');
  await house.grant(camera.id, 'snapshot');
  const agent = start(camera);
  await eventually('it is there', () => isReady(camera));
  const taking = house.fetch('POST', pathOf(camera));
  await eventually('the camera is opened', () => isCapturing(agent));
  await house.withdraw(camera.id, 'snapshot');
  await eventually('it is closed', () => !isCapturing(agent), 1000);
  t.equal((await taking).status, 403, 'who asked is told at once');
  await house.grant(camera.id, 'snapshot');
  const { snapshots } = await house.ask<{ snapshots: object[] }>('GET', pathOf(camera));
  t.same(snapshots, []);
  t.equal(await agent.kill('SIGTERM'), 0);
});

t.test('one that is taken while its masks are changed is given up', async (t) => {
  const camera = await house.addDevice('masked anew');
  await house.grant(camera.id, 'snapshot', 'device_info');
  const agent = start(camera);
  await eventually('it is there', () => isReady(camera));
  const taking = house.fetch('POST', pathOf(camera));
  await eventually('the camera is opened', () => isCapturing(agent));
  const body = { version: 0, patch: { masks: [WHOLE] } };
  const config = `/api/devices/${camera.id}/config`;
  await house.ask('PATCH', config, body);
  await eventually('it is closed', () => !isCapturing(agent));
  const { snapshots } = await house.ask<{ snapshots: object[] }>('GET', pathOf(camera));
  t.same(snapshots, [], 'nothing of the old masks is sent');
  const pixels = brightness(await take(camera));
  t.equal(pixels.filter((value) => value > 20).length, 0, 'the next one has the new masks');
  t.not((await taking).status, 201);
  t.equal(await agent.kill('SIGTERM'), 0);
});
