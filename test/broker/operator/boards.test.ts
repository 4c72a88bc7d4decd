// Boards by the operator's verbs: a batch taken in, labels printed.
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { decodeLabelCode, qrText } from '../../../proto/setup-code.ts';
import { readPng } from '../cli/qr-reader.ts';
import { Board, FactoryBoard, idOf } from '../fleet/house.ts';
import { ready } from './verbs.ts';

t.test('a batch is taken in whole or not at all, with every fault named by its line', async (t) => {
  const { house, run } = await ready(t);
  const file = join(house.folder, 'batch.csv');
  const boards = ['LX-1', 'LX-2'].map((serial) => new FactoryBoard(serial));
  const lines = boards.map(({ serial, keySha256 }) => `${serial},"Lens 1, black",${keySha256}`);
  const write = (...rows: string[]) =>
    writeFile(file, ['serial,model,key_sha256', ...rows, ''].join('\n'));
  await write(...lines, 'LX 3,x,nonsense', 'LX-1,x,y,z');
  const faulty = await run('fleet', 'enroll', file);
  t.equal(faulty.status, 64);
  t.match(faulty.err, /line 4: serial.*\nline 4: key_sha256.*\nline 5: /);
  t.equal((await run('fleet', 'list')).out, '');
  await write(...lines);
  t.match(await run('fleet', 'enroll', file), {
    status: 0,
    out: '2 boards enrolled, 0 were there already\n',
  });
  const again = await run('fleet', 'enroll', file, '--json');
  t.strictSame(JSON.parse(again.out), { added: 0, unchanged: 2 });
  t.match(await run('fleet', 'list'), { out: /^LX-1 {2}Lens 1, black {2}factory {2}unclaimed/ });
  t.match(await run('fleet', 'enroll', join(house.folder, 'none.csv')), {
    status: 64,
    err: /cannot be read/,
  });
});

t.test('a label is printed for the maker, unless the board is revoked', async (t) => {
  const { house, run } = await ready(t);
  const board = new FactoryBoard('LX-1');
  await house.boards.enroll([board.row]);
  const [png, svg] = [join(house.folder, 'label.png'), join(house.folder, 'label.svg')];
  const printed = await run('fleet', 'label', 'LX-1', '--png', png, '--svg', svg);
  t.equal(printed.out.trim(), board.label, printed.err);
  t.equal(decodeLabelCode(printed.out).serial, 'LX-1');
  t.equal(await readPng(png), qrText(board.label));
  t.match(await readFile(svg, 'utf8'), /^<svg /);
  t.equal((await stat(png)).mode & 0o777, 0o600);
  t.match(await run('fleet', 'revoke', 'LX-1'), { status: 0, out: 'LX-1 is revoked\n' });
  t.match(await run('fleet', 'label', 'LX-1'), { status: 73, err: /revoked/ });
  t.match(await run('fleet', 'label', 'LX-9'), { status: 66 });
});

t.test(
  'a board that somebody claimed who does not have it is freed, a camera is not',
  async (t) => {
    const { house, run } = await ready(t);
    const factory = new FactoryBoard('LX-1');
    await house.boards.enroll([factory.row]);
    t.match(await run('fleet', 'unclaim', 'LX-1'), { status: 73, err: /nobody/ });
    t.match(await run('fleet', 'unclaim', 'LX-9'), { status: 66 });
    const claim = (accountId: string) =>
      house.claims.claimBoard(accountId, { label: factory.label, name: 'hall' });
    await claim(await house.addOwner());
    await t.rejects(claim(house.accountId), { code: 'CLAIM_USED' });
    t.match(await run('fleet', 'unclaim', 'LX-1'), { status: 0 });
    await claim(house.accountId);
    const answer = await factory.ask(house, await Board.make());
    t.match(await house.device(idOf(answer)), { account_id: house.accountId });
    t.match(await run('fleet', 'unclaim', 'LX-1'), { status: 73, err: /is a camera/ });
  },
);
