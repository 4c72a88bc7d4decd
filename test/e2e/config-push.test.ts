// The configuration of the real agent, changed from afar by its owner through the real server: applied
// without losing a frame where that can be, with a short Gap where not, and gone back on by itself
// where it breaks something.
import { copyFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isCapturing, PICTURE, startAgent, stateOf, writeConfig } from './agent.ts';
import { type Added, House } from './house.ts';
import { AGENT, eventually, FILE_TIMEOUT_MS, finished, MOTION, node } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const options = {
  source: PICTURE,
  audio: 'none',
  video: { encoder: 'openh264enc' },
  health: { provenAfterMs: 1500 },
  segment: { durationMs: 1000 },
} as const;

interface Reported {
  readonly version: number;
  readonly state: string;
  readonly inForce: number;
  readonly code: string | null;
  readonly detail: string;
}
interface State {
  readonly version: number;
  readonly reported: Reported | null;
  readonly differences: readonly { readonly path: string }[];
}

const house = await House.open(t);
const camera = await house.addDevice('camera');
await house.grant(camera.id, 'video', 'device_info');

const state = (device: Added = camera): Promise<State> =>
  house.ask('GET', `/api/devices/${device.id}/config`);

/** Changes it as its owner; returns the version. */
async function push(patch: object): Promise<number> {
  const { version } = await state();
  const path = `/api/devices/${camera.id}/config`;
  return (await house.ask<State>('PATCH', path, { version, patch })).version;
}

async function becomes(version: number, wanted: string): Promise<Reported> {
  let last: Reported | null = null;
  await eventually(
    `version ${version} ${wanted}`,
    async () => {
      last = (await state()).reported;
      return last?.version === version && last.state === wanted;
    },
    undefined,
    () => `${JSON.stringify(last)}\n${agent.tail()}`,
  );
  return last ?? { version: 0, state: '', inForce: 0, code: null, detail: '' };
}

const stored = () => house.stored(camera.id);
const more = async (than: number) =>
  eventually('it goes on recording', async () => (await stored()).segments.length > than + 1);

/** It outlives the test in which it is started. */
const start = () => startAgent(t, camera, options);
let agent = start();
await more(0);

t.test('a live change is applied without a frame lost, in the same stream', async (t) => {
  const before = await stored();
  const outside = join(house.folder, 'written-by-gstreamer');
  const texts = { name: `! filesink location=${outside} <span>&%`, location: null };
  const version = await push({
    video: { bitrateKbps: 350 },
    overlay: { name: true, clock: true },
    label: { name: texts.name },
    masks: [
      [
        [0.1, 0.1],
        [0.3, 0.1],
        [0.2, 0.4],
      ],
    ],
    log: { level: 'debug' },
    uplink: { window: 3 },
  });
  const reported = await becomes(version, 'applied');
  t.match(reported, { inForce: version, code: null });
  await agent.says(/the configuration is proven/);
  await more((await stored()).segments.length);
  const { segments, gaps } = await stored();
  t.equal(new Set(segments.map(({ streamId }) => streamId)).size, 1, 'one stream');
  t.strictSame(gaps, before.gaps);
  const inOrder = segments.toSorted((one, other) => one.sequence - other.sequence);
  for (const [at, segment] of inOrder.entries()) {
    const next = inOrder[at + 1];
    if (next !== undefined)
      t.ok(
        Math.abs(next.startAtUs - segment.startAtUs - segment.durationUs) < 20_000,
        `segment ${segment.sequence} is followed at once`,
      );
  }
  t.notOk(existsSync(outside), 'a text is a text');
  t.strictSame((await state()).differences, []);
});

t.test('a change that takes another capture costs a Gap under 2 s', async (t) => {
  const before = (await stored()).segments.length;
  const version = await push({ video: { width: 320, height: 240 } });
  await becomes(version, 'applied');
  await more(before);
  const restarts = async () =>
    (await stored()).gaps.filter(({ reason }) => reason === 'capture_restarted');
  await eventually('the Gap', async () => (await restarts()).length > 0);
  const [gap, ...others] = await restarts();
  t.strictSame(others, []);
  t.comment(`${(gap?.durationUs ?? 0) / 1000} ms without pictures`);
  t.ok((gap?.durationUs ?? Number.POSITIVE_INFINITY) < 2_000_000);
});

/** How often a version was given up, as events tell. */
async function reverts(): Promise<number> {
  const path = `/api/devices/${camera.id}/events?kind=config_reverted`;
  return (await house.ask<{ events: unknown[] }>('GET', path)).events.length;
}

t.test('where the encoder refuses it, it is gone back on, and why is told', async (t) => {
  const good = (await state()).version;
  const before = (await stored()).segments.length;
  // No document is wrong for it, but this encoder takes at most 9,437,184 pixels.
  const version = await push({ video: { width: 4352, height: 2304 } });
  const reported = await becomes(version, 'reverted');
  t.match(reported, { inForce: good, code: 'CONFIG_UNHEALTHY' });
  t.match(reported.detail, /\(CAPTURE_[A-Z]+\)$/);
  await more(before);
  await eventually('an event tells of it', async () => (await reverts()) === 1);
  t.ok(
    (await state()).differences.some(({ path }) => path === '/video/width'),
    'drift',
  );
});

t.test('a crash while it is tried is gone back on at the next start', async (t) => {
  const good = (await state()).reported?.inForce;
  const version = await push({ video: { width: 320, height: 240, frameRate: 12 } });
  await agent.says(new RegExp(`"version":${version},"change":"restart"`));
  await agent.kill('SIGKILL');
  const before = (await stored()).segments.length;
  agent = start();
  const reported = await becomes(version, 'reverted');
  t.match(reported, { inForce: good, code: 'CONFIG_UNHEALTHY', detail: /crashed or lost power/ });
  await more(before);
  const shown = await finished(
    node(AGENT, 'config', 'show', '--config', writeConfig(camera, options)),
  );
  t.match(shown, { code: 0 });
  t.match(shown.out, `version ${version}: reverted`);
  t.match(shown.out, `in force: version ${good}`);
  t.match(shown.out, '/video/width: 320');
});

t.test('what consent does not cover is refused, and the camera closes when told to', async (t) => {
  const seen = await state();
  const point = [1, 0];
  const polygon = Array.from({ length: 5000 }, () => point);
  const path = `/api/devices/${camera.id}/config`;
  for (const [patch, said] of [
    [{ audio: { on: true } }, /CONSENT_MISSING.*\/audio\/on/],
    [{ masks: [polygon, polygon] }, /\/masks\/0: must NOT have more than 64 items/],
    [{ label: { name: 'x'.repeat(1 << 20) } }, /too large/],
    [{ source: { type: 'test' } }, /additional properties \(source\)/],
    [{ clock: { timeZone: '! udpsink' } }, /\/clock\/timeZone/],
    [
      { recording: { schedule: [{ days: ['mon'], from: '26:00', to: '27:00' }] } },
      /\/recording\/schedule\/0\/from/,
    ],
  ] as const)
    await t.rejects(house.ask('PATCH', path, { version: seen.version, patch }), { message: said });
  t.strictSame(await state(), seen, 'nothing of it is wanted, or was tried');
  const off = await push({ recording: { mode: 'off' } });
  await becomes(off, 'applied');
  await eventually('the camera is closed', () => !isCapturing(agent));
  await agent.kill('SIGKILL');
  agent = start();
  await agent.says('connected');
  t.notOk(isCapturing(agent), 'and a loss of power does not open it');
  t.equal((await state()).reported?.inForce, off);
  t.equal(await reverts(), 2, 'each revert is told once, over all restarts');
  const on = await push({ recording: { mode: null } });
  await becomes(on, 'applied');
  await eventually('it opens again', () => isCapturing(agent));
});

t.test('a damaged file leaves the board as its own configuration says, and says so', async (t) => {
  t.equal(await agent.kill('SIGTERM'), 0);
  const file = join(stateOf(camera), 'configuration');
  writeFileSync(file, readFileSync(file).subarray(0, 200));
  agent = start();
  await agent.says("the board's own is in force until the server sends one");
  const { version } = await state();
  await agent.says(new RegExp(`"version":${version},"change"`));
  await becomes(version, 'applied');
  t.equal(await agent.kill('SIGTERM'), 0);
});

t.test('a source that was broken already takes no version back; erasing takes all', async (t) => {
  const clip = join(house.folder, '..', 'unplugged.mov');
  const source = { type: 'file', path: clip, loop: true };
  const broken = { ...options, source, audio: 'alsa' } as const;
  agent = startAgent(t, camera, broken);
  await agent.says('capture broken off');
  const version = await push({
    video: { frameRate: 8 },
    label: { name: 'The garden shed' },
    log: { level: 'warn' },
    audio: { on: false },
  });
  await becomes(version, 'accepted');
  await eventually('it is in force', async () => (await state()).differences.length === 0);
  copyFileSync(MOTION, clip);
  await becomes(version, 'applied');
  await house.grant(camera.id, 'video', 'audio', 'device_info');
  // There is no microphone: pictures go on without its sound.
  await becomes(await push({ audio: { on: null } }), 'applied');
  await agent.says('the pictures go on without sound');
  t.equal(await reverts(), 2, 'nothing was given up');

  const folder = stateOf(camera);
  t.match(readFileSync(join(folder, 'configuration'), 'utf8'), 'The garden shed');
  const config = writeConfig(camera, broken);
  t.match(await finished(node(AGENT, 'reset', '--yes', '--config', config)), { code: 0 });
  await agent.says('the board belongs to nobody');
  t.notOk(existsSync(join(folder, 'configuration')));
  for (const file of readdirSync(folder, { withFileTypes: true, recursive: true }))
    if (file.isFile())
      t.notMatch(readFileSync(join(file.parentPath, file.name)).toString('latin1'), 'garden');
  t.equal(await agent.kill('SIGTERM'), 0);
});
