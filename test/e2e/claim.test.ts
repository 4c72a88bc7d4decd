// A board becomes the owner's: the real agent, the real server, a setup code, and all that may be wrong
// with it. Either the board has an identity that works, or it is as it was.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { decodeSetupCode, encodeSetupCode } from '../../proto/setup-code.ts';
import { IN_1970 } from '../in-1970.ts';
import { Board, claimState, newClaim } from './board.ts';
import { folderOf } from './folder.ts';
import { House } from './house.ts';
import { eventually, finished } from './processes.ts';

t.setTimeout(180_000);
const house = await House.open(t, { claims: { failuresPerMinutePerAddress: 1000 } });

t.test('a claimed board has a key of its own, and records once its owner consents', async (t) => {
  const board = new Board(t, 'hall');
  const { claimId, code } = await newClaim(house, 'hall');
  t.match(await claimState(house, claimId), { state: 'open', failures: 0, deviceId: null });
  const { code: exit, out, err } = await board.claim(code);
  t.equal(exit, 0, err);
  t.match(out + err, board.id, 'it says who it is now');
  t.match(await claimState(house, claimId), { state: 'used', deviceId: board.id });
  t.match(await house.device(board.id), { state: 'claimed', name: 'hall', cap: 'on' });
  t.equal(statSync(board.file).mode & 0o777, 0o600);
  const [, key = ''] = /\n(\S{40})\S*\n-----END/.exec(board.identity?.privateKey ?? '') ?? [];
  t.not(key, '', 'the key of the board');
  const found = await finished(['grep', '-rlF', key, house.folder]);
  t.equal(found.out, '', 'is nowhere on the server');
  t.notMatch(out + err + house.server.err + house.server.out, key);
  const agent = board.run();
  await house.grant(board.id, 'video');
  await eventually('it records', async () => (await house.device(board.id)).segments > 0);
  t.match(await house.device(board.id), { state: 'configured' });
  t.equal(await agent.kill('SIGTERM'), 0);
  t.notMatch(agent.err, key);
});

t.test('an agent that waits takes the code from a stick and erases it there', async (t) => {
  const stick = join(folderOf(t), 'media', 'STICK');
  mkdirSync(stick, { recursive: true });
  const board = new Board(t, 'stick', { claim: { folders: [join(stick, '..')] } });
  const agent = board.run();
  await agent.says(/no identity yet/);
  const file = join(stick, 'lenscap-claim.txt');
  writeFileSync(file, 'garbage\n\u0000\u0001');
  await agent.says(/lenscap-claim\.txt/);
  const { claimId, code } = await newClaim(house, 'stick');
  writeFileSync(file, `# for the camera in the hall\n${code}\n`);
  await eventually(
    'it is claimed',
    async () => (await claimState(house, claimId)).state === 'used',
  );
  await eventually('the file is gone', () => !existsSync(file));
  await eventually('it is connected', async () => (await house.device(board.id)).connected);
  t.notMatch(agent.err, code.slice(0, 20), 'the code is in no log');
  t.equal(await agent.kill('SIGTERM'), 0);
});

t.test('an agent that waits reads the code that is held before its lens', async (t) => {
  const folder = folderOf(t);
  const { claimId, qr } = await house.ask<{ claimId: string; qr: { png: string } }>(
    'POST',
    '/api/claims',
    { name: 'lens' },
  );
  writeFileSync(join(folder, 'code.png'), Buffer.from(qr.png, 'base64'));
  const clip = join(folder, 'clip.mp4');
  const still = ['-loop', '1', '-t', '4', '-i', join(folder, 'code.png')];
  const scene = 'scale=300:300,pad=640:480:170:90:gray,fps=10';
  execFileSync('ffmpeg', ['-v', 'error', ...still, '-vf', scene, '-pix_fmt', 'yuv420p', clip]);
  const board = new Board(t, 'lens', {
    claim: { lens: true },
    source: { type: 'file', path: clip, loop: true },
  });
  const agent = board.run();
  await eventually(
    'it is claimed',
    async () => (await claimState(house, claimId)).state === 'used',
  );
  await eventually('it is connected', async () => (await house.device(board.id)).connected);
  t.equal((await house.device(board.id)).segments, 0, 'and nothing was stored of what it saw');
  t.equal(await agent.kill('SIGTERM'), 0);
});

t.test('two boards with one code: one gets it, the other hears that it was used', async (t) => {
  const boards = [new Board(t, 'one'), new Board(t, 'two')];
  const { claimId, code } = await newClaim(house, 'twins');
  const ends = await Promise.all(boards.map((board) => board.claim(code)));
  const winners = boards.filter((_, place) => ends[place]?.code === 0);
  t.equal(winners.length, 1, ends.map(({ err }) => err).join('\n'));
  for (const [place, board] of boards.entries()) {
    if (ends[place]?.code === 0) continue;
    t.equal(ends[place]?.code, 77);
    t.match(ends[place]?.err, /the code was used/);
    t.equal(board.identity, undefined);
  }
  t.match(await claimState(house, claimId), { deviceId: winners[0]?.id });
});

t.test(
  'a code that is used, expired, cancelled, foreign or mistyped leaves the board as it was',
  async (t) => {
    const used = await newClaim(house, 'used');
    t.equal((await new Board(t, 'first').claim(used.code)).code, 0);
    const cancelled = await newClaim(house, 'cancelled');
    await house.ask('DELETE', `/api/claims/${cancelled.claimId}`);
    const parts = decodeSetupCode((await newClaim(house, 'open')).code);
    const stranger = encodeSetupCode({ ...parts, secret: Buffer.alloc(16, 1) });
    const elsewhere = encodeSetupCode({ ...parts, port: 1 });
    const impostor = encodeSetupCode({ ...parts, caFingerprint: Buffer.alloc(16, 2) });
    const swapped = used.code.replace(/(.)(?!\1)([^-])/, '$2$1');
    const cases: [string, string, number, RegExp][] = [
      ['used', used.code, 77, /the code was used/],
      ['cancelled', cancelled.code, 77, /not accepted/],
      ['of a stranger', stranger, 77, /not accepted/],
      ['mistyped', swapped, 65, /checksum/],
      ['cut short', used.code.slice(0, 30), 65, /cannot be read/],
      ['of another server', impostor, 77, /not the one to be trusted/],
      ['with nobody there', elsewhere, 75, /127\.0\.0\.1|localhost/],
    ];
    for (const [what, code, exit, says] of cases) {
      const board = new Board(t, 'empty');
      const end = await board.claim(code);
      t.equal(end.code, exit, `${what}: ${end.err}`);
      t.match(end.err, says, what);
      t.notMatch(end.err, /\n {4}at /, 'without a stack');
      t.notMatch(end.err, code.slice(0, 20), 'and without the code');
      t.equal(board.identity, undefined, 'no identity');
    }
  },
);

t.test('a code that has expired is told, on the board and to the owner', async (t) => {
  const short = await House.open(t, { claims: { lifeS: 1 } });
  const { claimId, code } = await newClaim(short, 'late');
  await eventually(
    'it expires',
    async () => (await claimState(short, claimId)).state === 'expired',
  );
  const board = new Board(t, 'late');
  const { code: exit, err } = await board.claim(code);
  t.equal(exit, 77);
  t.match(err, /the code has expired/);
  t.equal(board.identity, undefined);
});

t.test('a board that is claimed is not claimed again before it is reset', async (t) => {
  const board = new Board(t, 'taken');
  t.equal((await board.claim((await newClaim(house, 'mine')).code)).code, 0);
  const before = readFileSync(board.file, 'utf8');
  const { claimId, code } = await newClaim(house, 'not yours');
  const { code: exit, err } = await board.claim(code);
  t.equal(exit, 77, err);
  t.match(err, /reset/);
  t.equal(readFileSync(board.file, 'utf8'), before, 'it is as it was');
  t.match(await claimState(house, claimId), { state: 'open', deviceId: null });
});

t.test(
  'a board whose clock says 1970 is claimed, connects, and is believed the owner it has',
  async (t) => {
    const board = new Board(t, 'young');
    const { code } = await newClaim(house, 'young');
    const { code: exit, err } = await board.claim(code, IN_1970);
    t.equal(exit, 0, err);
    const agent = board.run({ env: IN_1970 });
    await eventually('it is connected', async () => (await house.device(board.id)).connected);
    t.equal(await agent.kill('SIGTERM'), 0);
    const parts = decodeSetupCode((await newClaim(house, 'liar')).code);
    const impostor = encodeSetupCode({ ...parts, caFingerprint: Buffer.alloc(16, 2) });
    const refused = await new Board(t, 'wary').claim(impostor, IN_1970);
    t.equal(refused.code, 77, 'another authority is refused all the same');
  },
);
