// Power cuts while a board is reset or renews its certificate: a reset that was noted is brought to its
// end, and no renewal leaves the board without a pair that is accepted.
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loadIdentity } from '../../../agent/identity/identity.ts';
import { finished, node } from '../../e2e/processes.ts';
import { Board } from './board.ts';
import { claimed, everyKill, SINGLE, serve } from './kills.ts';

t.jobs = 2;

t.test('a kill at any step of a reset: a reset that was noted is brought to its end', async (t) => {
  const { identity } = await claimed(t, await serve(t));
  const kills = await everyKill(t, async (under) => {
    const board = new Board(t);
    board.give(identity);
    for (const name of ['grant', 'last-pictures'])
      writeFileSync(join(board.stateDir, name), 'of the owner');
    const { code: status } = await board.reset(under(board), SINGLE);
    if (status === 0) {
      t.same(board.files(), []);
      return false;
    }
    const isNoted = existsSync(join(board.stateDir, 'resetting'));
    if (!isNoted && board.hasIdentity) t.ok(loadIdentity(board.identityPath), 'as it was');
    const agent = board.run();
    if (isNoted) await agent.says('no identity yet');
    else await agent.says(/no identity yet|connected/);
    t.equal(board.hasIdentity, !isNoted && board.hasIdentity);
    await agent.kill('SIGKILL');
    if (isNoted) t.same(board.files(), ['instance']);
    return true;
  });
  t.ok(kills >= 1, `${kills} kills`);
});

t.test('a kill at any step of a renewal leaves the old pair or both', async (t) => {
  const { identity } = await claimed(t, await serve(t));
  const renew = new URL('./renew.ts', import.meta.url).pathname;
  const kills = await everyKill(t, async (under) => {
    const board = new Board(t);
    board.give(identity);
    const before = board.bundle;
    const command = [...under(board), ...node(renew, board.identityPath, board.stateDir)];
    const { code: status } = await finished(command, SINGLE);
    const after = board.bundle;
    const isOld = after.certificate === before.certificate;
    t.match(after.previous, isOld ? null : { certificate: before.certificate });
    if (status === 0) return false;
    loadIdentity(board.identityPath);
    if (isOld)
      t.match(await finished(node(renew, board.identityPath, board.stateDir)), { code: 0 });
    return true;
  });
  t.ok(kills >= 1, `${kills} kills`);
});
