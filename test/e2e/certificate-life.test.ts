// The life of a certificate: renewed in time without a frame lost, void the moment it is revoked, and
// what was off for too long comes back by its owner's code, with its id and its recordings.
import t from 'tap';
import { isCapturing } from './agent.ts';
import { Board, newClaim } from './board.ts';
import { House } from './house.ts';
import { eventually } from './processes.ts';

t.setTimeout(180_000);

async function claimed(house: House, board: Board, name: string): Promise<string> {
  const { code, err } = await board.claim((await newClaim(house, name)).code);
  if (code !== 0) throw new Error(err);
  return board.id;
}

t.test(
  'a certificate renews itself from two thirds of its life on, and recording goes on',
  async (t) => {
    const house = await House.open(t, { certificates: { deviceLifeS: 15 } });
    const board = new Board(t, 'lasting');
    const id = await claimed(house, board, 'lasting');
    await house.grant(id, 'video');
    const agent = board.run();
    const seen = new Set<string>();
    const certificate = (): string => board.identity?.certificate ?? '';
    await eventually(
      'three certificates',
      () => seen.add(certificate()).size >= 3,
      60_000,
      () => agent.tail(),
    );
    const keys = new Set([board.identity?.privateKey, board.identity?.previous?.privateKey]);
    t.equal(keys.size, 2, 'each has a key of its own');
    await eventually(
      'the one before is gone from the board',
      () => board.identity?.previous === null,
    );
    const rows = await house.inside(({ store }) => store.certificates.ofDevice(id));
    const valid = rows.filter(({ revoked_at_us }) => revoked_at_us === null);
    t.ok(rows.length >= 3 && valid.length <= 2, `${valid.length} of ${rows.length} are valid`);
    t.ok(isCapturing(agent));
    t.equal(await agent.kill('SIGTERM'), 0);
    const { segments, gaps } = await house.stored(id);
    t.same(gaps, [], 'nothing was lost');
    t.equal(new Set(segments.map(({ streamId }) => streamId)).size, 1, 'in one run of capture');
    t.strictSame(
      segments.map(({ sequence }) => sequence),
      segments.map((_, place) => place),
    );
  },
);

t.test(
  'a camera that was off for longer than its certificate is admitted again by its owner',
  async (t) => {
    const house = await House.open(t, { certificates: { deviceLifeS: 10 } });
    const board = new Board(t, 'late');
    const id = await claimed(house, board, 'late');
    await house.grant(id, 'video');
    const first = board.run();
    await eventually('it records', async () => (await house.device(id)).segments > 0);
    await first.kill('SIGKILL');
    const rows = await house.inside(({ store }) => store.certificates.ofDevice(id));
    const lastUs = Math.max(...rows.map(({ not_after_us }) => not_after_us));
    await eventually('its certificates end', () => lastUs < Date.now() * 1000, 30_000);
    const second = board.run();
    await second.says(/IDENTITY_REFUSED/);
    const { segments } = await house.device(id);
    const { code, err } = await board.claim((await newClaim(house, 'late', id)).code);
    t.equal(code, 0, err);
    t.equal(board.id, id);
    await eventually('it records again', async () => (await house.device(id)).segments > segments);
    t.match(await house.device(id), { state: 'configured' }, 'under the consent it had');
    t.equal(await second.kill('SIGTERM'), 0);
  },
);

t.test('revoked by its owner, a camera is cut off at once and stays out', async (t) => {
  const house = await House.open(t);
  const board = new Board(t, 'stolen');
  const id = await claimed(house, board, 'stolen');
  await house.grant(id, 'video');
  const agent = board.run();
  await eventually('it records', async () => (await house.device(id)).segments > 0);
  await house.ask('POST', `/api/devices/${id}/revoke`);
  const revokedMs = performance.now();
  await eventually('it is cut off', async () => !(await house.device(id)).connected);
  t.comment(`cut off after ${Math.round(performance.now() - revokedMs)} ms`);
  await agent.says(/IDENTITY_REFUSED/);
  await house.server.kill('SIGTERM');
  await house.start();
  const before = agent.err.length;
  await eventually('refused after a restart too', () =>
    agent.err.slice(before).includes('IDENTITY_REFUSED'),
  );
  t.match(await house.device(id), { state: 'revoked', connected: false, cap: 'on' });
  const again = await house.fetch('POST', '/api/claims', { name: 'again', deviceId: id });
  t.equal(again.status, 409, 'nor is it admitted again');
  await agent.kill('SIGKILL');
});
