// A camera that records motion only, at a real server: before anything moves next to no bytes come, the
// recording begins as long before the motion as the setting says, and crashes leave no second untold.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { passing } from '../agent/recording/rig.ts';
import { type AgentOptions, PICTURE, startAgent, stateOf } from './agent.ts';
import { FaultProxy } from './fault-proxy.ts';
import { folderOf } from './folder.ts';
import { type Added, type Gap, House, type Segment } from './house.ts';
import { eventually, FILE_TIMEOUT_MS } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const house = await House.open(t);
const PRE_ROLL_US = 1_000_000;
/** A GOP, and what a frame that shows nothing yet may take. */
const GOP_US = 1_500_000;
const QUIET_S = 4;
/** Greetings, certificates, what the camera tells of itself; a second of the clip is more. */
const QUIET_BYTES = 30_000;
/** Times are rounded, and told in part by the wall clock. */
const NEAR_US = 50_000;

interface Told {
  readonly kind: string;
  readonly startAtUs: number;
  readonly durationUs: number;
  readonly lasts: boolean;
  readonly detail: string;
}
const motionOf = async ({ id }: Added): Promise<Told | undefined> => {
  const { events } = await house.ask<{ events: Told[] }>('GET', `/api/devices/${id}/events`);
  return events.find(({ kind }) => kind === 'motion');
};

/** A still view, in which a box begins to move and does not stop. */
const clip = await passing(join(folderOf(t), 'clip.mp4'), QUIET_S, 60, 60);
const camera = await house.addDevice('moving');
const proxy = new FaultProxy(() => house.mqttPort);
const bundle = JSON.parse(readFileSync(camera.file, 'utf8'));
bundle.server.port = await proxy.listen();
t.teardown(() => proxy.close());
writeFileSync(camera.file, JSON.stringify(bundle), { mode: 0o600 });
await house.grant(camera.id, 'video', 'device_info');

const run = (recording: object, source: AgentOptions['source'] = PICTURE) =>
  startAgent(t, camera, { audio: 'none', motion: { on: true }, source, recording });
const stored = () => house.stored(camera.id);
const endOf = ({ startAtUs, durationUs }: Pick<Gap, 'startAtUs' | 'durationUs'>) =>
  startAtUs + durationUs;

/** Stretches of which there is neither a picture nor a word, in microseconds. */
function untold(pieces: readonly (Segment | Gap)[]): number[] {
  const sorted = [...pieces].sort((one, other) => one.startAtUs - other.startAtUs);
  let untilUs = sorted[0]?.startAtUs ?? 0;
  return sorted.map((piece) => {
    const holeUs = piece.startAtUs - untilUs;
    untilUs = Math.max(untilUs, endOf(piece));
    return holeUs;
  });
}

t.test('what moves is recorded from before it began, and nothing comes until then', async (t) => {
  const recording = { mode: 'motion', preRollMs: PRE_ROLL_US / 1000, postRollMs: 1000 };
  const agent = run(recording, { type: 'file', path: clip, loop: false });
  let quietBytes = 0;
  await eventually('the motion is told', async () => {
    const { segments } = await house.device(camera.id);
    if (segments === 0) quietBytes = proxy.upBytes;
    return (await motionOf(camera)) !== undefined;
  });
  t.ok(quietBytes > 0 && quietBytes < QUIET_BYTES, `${quietBytes} bytes while nothing moved`);
  await eventually('it is recorded', async () => (await stored()).segments.length >= 3);
  const [{ segments, gaps }, event] = [await stored(), await motionOf(camera)];
  const beforeUs = (event?.startAtUs ?? 0) - Math.min(...segments.map((one) => one.startAtUs));
  t.ok(beforeUs >= PRE_ROLL_US && beforeUs <= PRE_ROLL_US + GOP_US, `${beforeUs} us before it`);
  t.match(gaps, [{ reason: 'no_motion' }]);
  t.ok((gaps[0]?.durationUs ?? 0) > 1e6, 'the quiet before is told');
  t.match(event, { lasts: true, durationUs: 0 });
  await agent.kill('SIGKILL');
});

t.test(
  'a crash ends what lasted, and parts what was not wanted from what is unknown',
  async (t) => {
    const closed = run({ mode: 'off' });
    await eventually(
      'the motion has an end',
      async () => (await motionOf(camera))?.lasts === false,
    );
    t.match(await motionOf(camera), { detail: /at least/ });
    const note = join(stateOf(camera), 'lasting');
    await eventually('it is noted', () => readFileSync(note, 'utf8').includes('not_wanted'));
    await closed.kill('SIGKILL');

    const before = (await stored()).segments.length;
    const open = run({ mode: 'continuous' });
    await eventually('it records', async () => (await stored()).segments.length > before + 1);
    t.equal(await open.kill('SIGTERM'), 0);
    const { segments, gaps } = await stored();
    const inOrder = [...gaps].sort((one, other) => one.startAtUs - other.startAtUs);
    t.same(
      inOrder.map(({ reason }) => reason),
      ['no_motion', 'agent_stopped', 'not_wanted', 'agent_stopped'],
    );
    const [, stopped, rested, stoppedAgain] = inOrder;
    if (!stopped || !rested || !stoppedAgain) throw new Error('gaps are missing');
    t.ok(Math.abs(rested.startAtUs - endOf(stopped)) < NEAR_US, 'one after the other');
    t.ok(Math.abs(stoppedAgain.startAtUs - endOf(rested)) < NEAR_US);
    t.ok(rested.durationUs > 1e6, `${rested.durationUs} us not wanted`);
    const holes = untold([...segments, ...gaps]).filter((us) => us > NEAR_US);
    t.same(holes, [], 'no second is untold');
    t.notOk(readFileSync(note, { encoding: 'utf8', flag: 'a+' }), 'an end in order leaves no note');
  },
);
