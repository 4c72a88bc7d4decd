// The configuration of the real agent, changed from afar by its owner through the real server: applied
// without losing a frame where that can be, with a short Gap where not, and gone back on by itself
// where it breaks something.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isCapturing, PICTURE, startAgent, stateOf, writeConfig } from './agent.ts';
import { type Added, House } from './house.ts';
import { AGENT, captures, eventually, FILE_TIMEOUT_MS, finished, node } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const options = {
  source: PICTURE,
  audio: 'none',
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
  const restarts = (await stored()).gaps.filter(({ reason }) => reason === 'capture_restarted');
  t.equal(restarts.length, 1);
  const [gap] = restarts;
  t.comment(`${(gap?.durationUs ?? 0) / 1000} ms without pictures`);
  t.ok((gap?.durationUs ?? Number.POSITIVE_INFINITY) < 2_000_000);
});

t.test('where the capture breaks under it, it is gone back on, and why is told', async (t) => {
  const good = (await state()).version;
  const version = await push({ video: { frameRate: 15 } });
  await agent.says(new RegExp(`"version":${version},"change":"restart"`));
  await eventually('another capture', () => isCapturing(agent));
  // As an encoder would that breaks with it.
  await eventually('it breaks', async () => {
    for (const pid of captures(agent.pid)) process.kill(pid, 'SIGKILL');
    return (await state()).reported?.state === 'reverted';
  });
  const reported = await becomes(version, 'reverted');
  t.match(reported, { inForce: good, code: 'CONFIG_UNHEALTHY' });
  t.match(reported.detail, /capture/);
  await more((await stored()).segments.length);
  const events = await house.ask<{ events: { kind: string }[] }>(
    'GET',
    `/api/devices/${camera.id}/events?kind=config_reverted`,
  );
  t.ok(events.events.length > 0, 'an event tells of it');
  t.ok(
    (await state()).differences.some(({ path }) => path === '/video/frameRate'),
    'drift',
  );
});

t.test('a crash while it is tried is gone back on at the next start', async (t) => {
  const good = (await state()).reported?.inForce;
  const version = await push({ video: { frameRate: 12 } });
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
  t.equal(await agent.kill('SIGTERM'), 0);
  agent = start();
  await more((await stored()).segments.length);
});

t.test('what consent does not cover is refused, and the camera closes when told to', async (t) => {
  await t.rejects(push({ audio: { on: true } }), /CONSENT_MISSING/);
  const off = await push({ recording: { mode: 'off' } });
  await becomes(off, 'applied');
  await eventually('the camera is closed', () => !isCapturing(agent));
  await agent.kill('SIGKILL');
  agent = start();
  await agent.says('connected');
  t.notOk(isCapturing(agent), 'and a loss of power does not open it');
  t.equal((await state()).reported?.inForce, off);
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
