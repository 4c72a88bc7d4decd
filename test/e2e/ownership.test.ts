// A camera changes hands, is reset, is copied: who had it keeps what was his, who gets it starts with
// nothing, and two boards with one identity get nothing at all.
import { cpSync } from 'node:fs';
import t, { type Test } from 'tap';
import { isCapturing } from './agent.ts';
import { Board, newClaim } from './board.ts';
import { House } from './house.ts';
import { eventually } from './processes.ts';

t.setTimeout(180_000);
const house = await House.open(t);

async function recording(t: Test, name: string) {
  const board = new Board(t, name);
  const { code, err } = await board.claim((await newClaim(house, name)).code);
  if (code !== 0) throw new Error(err);
  const { id } = board;
  await house.grant(id, 'video');
  const agent = board.run();
  await eventually('it records', async () => (await house.device(id)).segments > 0);
  return { board, id, agent };
}

for (const recordings of ['keep', 'delete'] as const)
  t.test(`a released camera forgets its owner; recordings: ${recordings}`, async (t) => {
    const { board, id, agent } = await recording(t, `released-${recordings}`);
    await house.ask('POST', `/api/devices/${id}/release`, { recordings });
    await eventually('the capture ends', () => !isCapturing(agent));
    await eventually('it confirms', async () => (await house.device(id)).releasedAt !== null);
    await eventually('the board is empty', () => board.files.length === 0);
    const { state, cap, segments } = await house.device(id);
    t.match({ state, cap }, { state: 'released', cap: 'on' });
    t.equal(segments > 0, recordings === 'keep', `${segments} segments are left`);
    const refused = await house.fetch('POST', `/api/devices/${id}/consent/grant`, {
      scopes: ['video'],
      policySha256: (await house.ask<{ sha256: string }>('GET', '/api/policy')).sha256,
    });
    t.equal(refused.status, 409, 'nothing can be granted to it');
    const claimed = await board.claim((await newClaim(house, 'again')).code);
    t.equal(claimed.code, 0, claimed.err);
    t.not(board.id, id, 'it is another device now');
    t.match(await house.device(board.id), { segments: 0, cap: 'on', epoch: 1, state: 'claimed' });
    await eventually(
      'the agent goes on with it',
      async () => (await house.device(board.id)).connected,
    );
    t.equal(await agent.kill('SIGTERM'), 0);
    t.match(await house.check(), { faults: { length: 0 } });
  });

t.test('a camera that is off when it is released forgets when it comes back', async (t) => {
  const { board, id, agent } = await recording(t, 'away');
  await agent.kill('SIGKILL');
  await house.ask('POST', `/api/devices/${id}/release`, { recordings: 'keep' });
  t.match(await house.device(id), { state: 'released', releasedAt: null }, 'not confirmed yet');
  const back = board.run();
  await eventually('it confirms', async () => (await house.device(id)).releasedAt !== null);
  await eventually('the board is empty', () => board.files.length === 0);
  t.equal(await back.kill('SIGTERM'), 0);
});

t.test('a reset ends all grants on the server too, with or without an agent running', async (t) => {
  for (const isRunning of [true, false]) {
    const { board, id, agent } = await recording(t, `reset-${isRunning}`);
    if (!isRunning) await agent.kill('SIGTERM');
    const { code, err } = await board.reset();
    t.equal(code, 0, err);
    await eventually('the board is empty', () => board.files.length === 0);
    await eventually('the server knows', async () => (await house.device(id)).state === 'released');
    t.match(await house.device(id), { cap: 'on', scopes: { length: 0 } });
    if (isRunning) {
      await agent.says(/no identity yet/);
      t.notOk(isCapturing(agent));
      t.equal(await agent.kill('SIGTERM'), 0);
    }
  }
});

t.test('a reset works without a server, and the owner sees no more than its absence', async (t) => {
  const { board, id, agent } = await recording(t, 'offline');
  await house.server.kill('SIGKILL');
  const { code, err } = await board.reset();
  t.equal(code, 0, err);
  await eventually('the board is empty', () => board.files.length === 0);
  await agent.kill('SIGTERM');
  await house.start();
  t.match(await house.device(id), { state: 'configured', connected: false });
});

t.test(
  'two boards with one identity are found out, and neither gets more than the other',
  async (t) => {
    const { board, id, agent } = await recording(t, 'original');
    const twin = new Board(t, 'twin');
    cpSync(board.file, twin.file);
    cpSync(board.stateDir, twin.stateDir, { recursive: true });
    const copy = twin.run();
    await eventually('it is suspended', async () => (await house.device(id)).state === 'suspended');
    t.match(await house.device(id), { stateReason: 'clone', cap: 'on', scopes: { length: 0 } });
    await eventually('both are cut off', async () => !(await house.device(id)).connected);
    for (const one of [agent, copy]) await one.says(/IDENTITY_REFUSED/);
    await copy.kill('SIGKILL');
    const { code, err } = await board.claim((await newClaim(house, 'the real one', id)).code);
    t.equal(code, 0, err);
    t.equal(board.id, id, 'its owner admits it again: the same device');
    await eventually('it is back', async () => (await house.device(id)).connected);
    t.match(await house.device(id), { state: 'claimed', stateReason: null });
    t.ok((await house.device(id)).segments > 0, 'with its recordings');
    const again = twin.run();
    await again.says(/IDENTITY_REFUSED/);
    t.match(await house.device(id), { state: 'claimed', connected: true }, 'the copy is shut out');
    await agent.kill('SIGKILL');
  },
);
