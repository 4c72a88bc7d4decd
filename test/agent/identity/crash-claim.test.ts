// Power cuts and full disks while a board is claimed or admitted again: each leaves the old state or
// the new one, and the repeat succeeds.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { seeded } from '../../seeded.ts';
import { Board } from './board.ts';
import { claimed, everyKill, faultAt, SINGLE, serve } from './kills.ts';

t.jobs = 2;

t.test(
  'a kill at any step of a claim leaves a board that can be claimed by the same code',
  async (t) => {
    const service = await serve(t);
    const left = new Set<boolean>();
    const kills = await everyKill(t, async (under) => {
      const board = new Board(t);
      const { code, deviceId } = service.newCode();
      const { code: status } = await board.claim(code, under(board), SINGLE);
      left.add(board.hasIdentity);
      if (board.hasIdentity) t.equal(board.deviceId, deviceId, 'a whole identity');
      if (status === 0) return false;
      if (!board.hasIdentity) t.match(await board.claim(code), { code: 0 });
      t.equal(board.deviceId, deviceId);
      return true;
    });
    t.ok(kills >= 1, `${kills} kills`);
    t.same(left, new Set([true, false]), 'before and after');
  },
);

t.test('a kill at any step of an admission leaves the old pair or both', async (t) => {
  const service = await serve(t);
  const { deviceId, identity } = await claimed(t, service);
  const kills = await everyKill(t, async (under) => {
    const board = new Board(t);
    board.give(identity);
    const before = board.bundle;
    const { code } = service.newCode(deviceId);
    const { code: status } = await board.claim(code, under(board), SINGLE);
    const after = board.bundle;
    const isOld = after.certificate === before.certificate;
    t.match(after.previous, isOld ? null : { certificate: before.certificate });
    if (status === 0) return false;
    if (isOld) t.match(await board.claim(code), { code: 0 });
    t.equal(board.deviceId, deviceId);
    return true;
  });
  t.ok(kills >= 1, `${kills} kills`);
});

t.test('a disk that is full at any write leaves the board as it was, and is named', async (t) => {
  const service = await serve(t);
  const random = seeded(t);
  const all = [1, 2];
  const some = process.env.TORTURE === undefined ? [random() < 0.5 ? 1 : 2] : all;
  for (const when of some) {
    const board = new Board(t);
    const { code, deviceId } = service.newCode();
    const full = faultAt(board, 'write', when, 'error=ENOSPC');
    const failed = await board.claim(code, full, SINGLE);
    t.match(failed, { code: 74, err: /the disk has no room/ }, `write ${when}`);
    t.notOk(board.hasIdentity);
    t.ok(
      board.files().every((name) => !name.endsWith('.new')),
      'no leftovers',
    );
    t.match(await board.claim(code), { code: 0 });
    t.equal(board.deviceId, deviceId);
    const bytes = readFileSync(board.identityPath);
    const again = service.newCode(deviceId);
    t.match(await board.claim(again.code, full, SINGLE), { code: 74 });
    t.ok(readFileSync(board.identityPath).equals(bytes), 'nor is an identity lost');
    t.match(await board.reset(full, SINGLE), { code: 0 }, 'and a reset needs no room');
  }
});
