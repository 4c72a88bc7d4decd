// A network that costs by volume, and then one that does not, in a network of the test's own (run by
// slow-uplink.test.ts, under unshare): two names of the loopback.
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { gap } from '../spool/captured.ts';
import { eventually, fill, makeRig } from './rig.ts';

function ip(...args: readonly string[]): void {
  execFileSync('ip', args);
}

/** From now on connections to the server come from this address. */
function comeFrom(address: string): void {
  const route = ['local', '127.0.0.1', 'dev', 'lo', 'table', 'local', 'scope', 'host'];
  ip('route', 'replace', ...route, 'proto', 'kernel', 'src', address);
}

t.test('recordings wait for another network, and go over it', async (t) => {
  ip('link', 'set', 'lo', 'up');
  ip('addr', 'add', '127.0.0.9/32', 'dev', 'lo', 'label', 'lo:1');
  comeFrom('127.0.0.9');
  const rig = await makeRig({
    stateDir: t.testdir(),
    config: { meteredInterfaces: ['lo:1'] },
  });
  t.teardown(() => rig.end());
  fill(rig, 2);
  rig.spool.gap(gap('g', 2));
  rig.start();
  await eventually('the gap is sent', () => rig.spool.held().items === 2);
  t.notOk(rig.server.nouns().includes('segment'));
  comeFrom('127.0.0.1');
  await eventually('all sent', () => rig.spool.held().items === 0);
  t.equal(rig.server.connections, 2);
  t.same(
    rig.server.nouns().filter((noun) => noun === 'segment'),
    ['segment', 'segment'],
  );
});
