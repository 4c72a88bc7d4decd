// Boards whose clock is wrong: what is known of the time, and whom they believe meanwhile.
import { existsSync } from 'node:fs';
import t from 'tap';
import { KnownTime } from '../../../agent/clock.ts';
import { eventually } from '../../e2e/processes.ts';
import { IN_1970 } from '../../in-1970.ts';
import { SimulatedClock } from '../consent/grants.ts';
import { makeAuthority, makePair } from '../uplink/pki.ts';
import { Board } from './board.ts';
import { authority, Service } from './service.ts';

t.jobs = 2;

const HOUR_US = 3_600_000_000;
t.test('known time runs with the monotonic clock and never goes back', async (t) => {
  const clock = new SimulatedClock();
  const start = clock.wall;
  let told = 0;
  const time = new KnownTime(clock, start - 10 * HOUR_US, () => {
    told += 1;
  });
  t.ok(time.isWallCredible());
  t.equal(time.nowUs(), start);
  time.learn(start + 2 * HOUR_US);
  t.notOk(time.isWallCredible(), 'two hours behind what was signed');
  t.notOk(time.isWallCredible());
  t.equal(told, 1, 'and told once');
  t.equal(time.nowUs(), start + 2 * HOUR_US);
  clock.wall = 0;
  clock.mono += HOUR_US;
  t.equal(time.nowUs(), start + 3 * HOUR_US);
  time.learn(start);
  t.equal(time.nowUs(), start + 3 * HOUR_US);
  clock.wall = start + 3 * HOUR_US - 1;
  t.ok(time.isWallCredible(), 'a little behind is right enough');
});

t.test('a board whose clock says 1970 is claimed, connects and is released', async (t) => {
  const service = await Service.start();
  t.teardown(() => service.close());
  const board = new Board(t);
  const { code, deviceId } = service.newCode();
  t.match(await board.claim(code, [], IN_1970), { code: 0, out: /connected with it/ });
  t.equal(board.deviceId, deviceId);
  const agent = board.run({ env: IN_1970 });
  await eventually('connected', () => service.nouns().includes('applied'));
  await agent.says('dates of certificates are not judged');
  t.match(agent.err, /"time":"1970-01-02/);
  await service.release(deviceId);
  await agent.says('the board belongs to nobody');
  t.notOk(existsSync(board.identityPath));
  t.equal(service.nouns().at(-1), 'released');
});

t.test('without dates, all else about a server is still judged', async (t) => {
  const other = await makeAuthority('authority');
  const localhost = { type: 'dns', value: 'localhost' } as const;
  const cases = {
    'another authority of the same name': await makePair(other, 'server', localhost),
    'another name': await makePair(authority, 'server', { type: 'dns', value: 'example.org' }),
  };
  for (const [what, pair] of Object.entries(cases)) {
    const service = await Service.start({ pair });
    t.teardown(() => service.close());
    const board = new Board(t);
    const { code: status, err } = await board.claim(service.newCode().code, [], IN_1970);
    t.equal(status, 77, what);
    t.match(err, /the server is not the one to be trusted/, what);
    t.equal(service.bytes, 0, `${what}: not one byte of MQTT`);
    t.same(board.files(), ['identity.json.pending'], what);
  }
});
