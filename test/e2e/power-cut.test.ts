// A loss of power while online, which memory does not survive: SIGKILL to the whole agent at a moment
// of chance. With the default segments and settings it costs no more than what is not acknowledged.
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { seeded } from '../seeded.ts';
import { FILE, startAgent } from './agent.ts';
import { House } from './house.ts';
import { eventually, FILE_TIMEOUT_MS } from './processes.ts';

/** What the default mode promises. */
const MOST_US = 8_000_000;
const CUTS = process.env.TORTURE ? 12 : 1;

t.setTimeout(FILE_TIMEOUT_MS);
const random = seeded(t);
const house = await House.open(t);

t.test(`a cut of power while online loses 8 s of video at most, in each of ${CUTS}`, async (t) => {
  const camera = await house.addDevice('camera');
  await house.grant(camera.id, 'video', 'audio');
  const lost: number[] = [];
  for (let cut = 0; cut < CUTS; cut += 1) {
    const before = (await house.device(camera.id)).segments;
    const agent = startAgent(t, camera, { source: FILE, segment: { durationMs: 4000 } });
    await eventually(
      'it records',
      async () => (await house.device(camera.id)).segments > before,
      undefined,
      () => agent.tail(),
    );
    await sleep(random() * 6000);
    const cutAtUs = Date.now() * 1000;
    await agent.kill('SIGKILL');
    const { segments } = await house.stored(camera.id);
    const ends = segments.map(({ startAtUs, durationUs }) => startAtUs + durationUs);
    lost.push(cutAtUs - Math.max(...ends));
  }
  t.comment(`lost: ${lost.map((us) => `${(us / 1e6).toFixed(1)} s`).join(', ')}`);
  for (const us of lost) t.ok(us <= MOST_US, `${us} us`);
  const agent = startAgent(t, camera, { source: FILE, segment: { durationMs: 4000 } });
  await eventually(
    'each stop of the agent is told as a gap',
    async () => (await house.stored(camera.id)).gaps.length >= CUTS,
    undefined,
    () => agent.tail(),
  );
  const { gaps } = await house.stored(camera.id);
  t.same([...new Set(gaps.map(({ reason }) => reason))], ['agent_stopped']);
});
