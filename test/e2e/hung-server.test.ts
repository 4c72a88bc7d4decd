// A server that answers nothing any more does not hold the agent: neither its end nor its capture.
import t from 'tap';
import { isCapturing, startAgent } from './agent.ts';
import { House } from './house.ts';
import { captures, descendants, eventually, FILE_TIMEOUT_MS, isAlive } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const house = await House.open(t);

t.test('with the server stopped, SIGTERM ends the agent in about six seconds', async (t) => {
  const camera = await house.addDevice('camera');
  await house.grant(camera.id, 'video');
  const agent = startAgent(t, camera, { audio: 'none' });
  await eventually('it records', async () => (await house.device(camera.id)).segments > 0);
  house.server.child.kill('SIGSTOP');
  const [before] = captures(agent.pid);
  await eventually('something waits', () => agent.err.split('"sent"').length > 4);
  t.strictSame(captures(agent.pid), [before], 'the capture goes on');
  t.ok(isCapturing(agent));
  const all = descendants(agent.pid);
  const startMs = performance.now();
  t.equal(await agent.kill('SIGTERM'), 0);
  const tookMs = Math.round(performance.now() - startMs);
  t.ok(tookMs < 8000, `after ${tookMs} ms`);
  t.match(agent.err, /stopped before everything was sent/);
  t.notOk(all.some(isAlive), 'no child is left');
  house.server.child.kill('SIGCONT');
  const report = await house.verify();
  t.match(report, { code: 0, faults: { length: 0 } });
});
