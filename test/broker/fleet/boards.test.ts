import { randomBytes } from 'node:crypto';
import t from 'tap';
import { parseBoards } from '../../../broker/fleet/boards-file.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { encodeLabelCode } from '../../../proto/setup-code.ts';
import {
  Board,
  by,
  FactoryBoard,
  fleetHouse,
  idOf,
  pemOf,
  said,
  serialOf,
  traces,
} from './house.ts';

const KEY = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);
const HEADER = 'serial,model,key_sha256';

t.test('a batch file is read, quoted models, CRLF and upper case too', async (t) => {
  const csv = `\uFEFF${HEADER}\r\nA-1,Lens 1,${KEY.toUpperCase()}\r\nA-2,"Lens, ""wide""",${OTHER}\r\n`;
  t.same(parseBoards(csv), [
    { serial: 'A-1', model: 'Lens 1', keySha256: KEY },
    { serial: 'A-2', model: 'Lens, "wide"', keySha256: OTHER },
  ]);
});

t.test('every fault of a batch file is named with its line', async (t) => {
  const lines = [
    HEADER,
    `A 1,m,${KEY}`,
    `A-2,,${OTHER}`,
    'A-3,m,abc',
    'A-4,m',
    `A-5,m,${'ef'.repeat(32)}`,
    `A-5,m,${'12'.repeat(32)}`,
    `A-6,m,${'ef'.repeat(32)}`,
    '',
    `A-7,a\u0007b,${'34'.repeat(32)}`,
  ];
  t.throws(() => parseBoards(lines.join('\n')), {
    code: 'REQUEST_INVALID',
    message: new RegExp(
      [
        'line 2: serial',
        'line 3: model',
        'line 4: key_sha256',
        'line 5: it is not three fields',
        'line 7: the serial of line 6 again',
        'line 8: the key of line 6 again',
        'line 9: it is not three fields',
        'line 10: model',
      ].join('[\\s\\S]*'),
    ),
  });
  for (const csv of ['', 'serial,model\n', `${HEADER}\n`, `${HEADER}\n\n`])
    t.throws(() => parseBoards(csv), { code: 'REQUEST_INVALID' }, JSON.stringify(csv));
  const many = `${HEADER}\n${'x\n'.repeat(100_001)}`;
  t.throws(() => parseBoards(many), { message: /more than 100000/ });
  t.throws(() => parseBoards(`${HEADER}\n${'x\n'.repeat(3000)}`), { message: /and 2000 faults/ });
});

t.test('a batch is enrolled as a whole or not at all, and again without harm', async (t) => {
  const { boards } = await fleetHouse(t);
  const rows = Array.from({ length: 2500 }, (_, at) => ({
    serial: `S-${at}`,
    model: 'm',
    keySha256: randomBytes(32).toString('hex'),
  }));
  t.same(await boards.enroll(rows), { added: 2500, unchanged: 0 });
  const fresh = { serial: 'S-new', model: 'm', keySha256: KEY };
  t.same(await boards.enroll([...rows, fresh]), { added: 1, unchanged: 2500 });
  await t.rejects(
    boards.enroll([
      { serial: 'S-other', model: 'm', keySha256: OTHER },
      { serial: 'S-1', model: 'm', keySha256: 'ef'.repeat(32) },
      { serial: 'S-2', model: 'n', keySha256: rows[2]?.keySha256 ?? '' },
      { serial: 'S-x', model: 'm', keySha256: KEY },
    ]),
    {
      code: 'CONFLICT',
      message: /S-1 with another key\nS-2 as a m\nthe key of S-x is that of S-new/,
    },
  );
  t.equal((await boards.list()).length, 2501);
  await t.rejects(boards.bySerial('S-other'), { code: 'NOT_FOUND' });
});

t.test('an enrolled board waits until its owner claims it by the label', async (t) => {
  const house = await fleetHouse(t);
  const factory = new FactoryBoard('SN-1');
  await house.boards.enroll([factory.row]);
  t.match(await house.boards.bySerial('SN-1'), { state: 'factory', last_seen_at_us: null });
  const board = await Board.make();
  const waiting = await factory.ask(house, board);
  t.match(waiting, { code: 'CLAIM_WAITING', retryAfterS: 10 });
  t.match(await house.boards.bySerial('SN-1'), { state: 'waiting', last_seen_at_us: Number });
  const claimed = await house.claims.claimBoard(house.accountId, {
    label: factory.label,
    name: 'garden',
  });
  t.same(claimed, { serial: 'SN-1', model: 'Lens 1' });
  const answer = await factory.ask(house, board);
  t.match(await house.device(idOf(answer)), {
    account_id: house.accountId,
    name: 'garden',
    serial: 'SN-1',
    state: 'waiting',
  });
  t.match(await house.consent.log(idOf(answer)), [{ event: 'OWNER_CHANGED', how: 'label' }]);
  t.equal(pemOf(await factory.ask(house, board)), pemOf(answer), 'the same key, the same answer');
  t.equal(said(await factory.ask(house, await Board.make())), 'CLAIM_USED');
  await house.certificates.used(serialOf(answer));
  t.match(await house.device(idOf(answer)), { state: 'claimed' });
  t.equal(said(await factory.ask(house, board)), 'CLAIM_USED');
  t.same(await traces(house), { devices: 1, certificates: 1, boards: 1, records: 1 });
});

t.test('the serial number alone opens nothing', async (t) => {
  const house = await fleetHouse(t);
  const factory = new FactoryBoard('SN-1');
  await house.boards.enroll([factory.row]);
  await house.claims.claimBoard(house.accountId, { label: factory.label, name: 'n' });
  const board = await Board.make();
  const ask = async (keySha256: string | null) =>
    said(await factory.ask(house, board, { keySha256 }));
  t.equal(await ask(null), 'CLAIM_REFUSED');
  t.equal(await ask(KEY), 'CLAIM_REFUSED');
  t.equal(await ask(''), 'CLAIM_REFUSED');
  t.equal(said(await new FactoryBoard('SN-2').ask(house, board)), 'CLAIM_REFUSED');
  const owned = await factory.ask(house, board, { deviceId: 'cam-abcdefghijklmnop' });
  t.match(owned, { code: 'CLAIM_REFUSED', detail: /reset/ });
});

t.test('many guesses at once are as many guesses', async (t) => {
  const house = await fleetHouse(t);
  await house.boards.enroll([new FactoryBoard('SN-1').row]);
  const guess = (): Promise<string> => {
    const label = encodeLabelCode({ serial: 'SN-1', keyFingerprint: randomBytes(16) });
    return house.claims.claimBoard(house.accountId, { label, name: 'n' }).then(
      () => 'claimed',
      (error: unknown) => (error instanceof LenscapError ? error.code : String(error)),
    );
  };
  const said = await Promise.all(Array.from({ length: 50 }, guess));
  t.equal(said.filter((code) => code === 'CLAIM_REFUSED').length, 5);
  t.equal(said.filter((code) => code === 'RATE_LIMITED').length, 45);
});

t.test('a label is claimed once, by who reads it, and guessing ends soon', async (t) => {
  const house = await fleetHouse(t);
  const factory = new FactoryBoard('SN-1');
  await house.boards.enroll([factory.row]);
  const claim = (accountId: string, label: string) =>
    house.claims.claimBoard(accountId, { label, name: 'n' });
  await t.rejects(claim(house.accountId, 'ABCDE'), { code: 'CODE_INVALID' });
  for (let guess = 0; guess < 5; guess++) {
    const keyFingerprint = randomBytes(16);
    await t.rejects(claim(house.accountId, encodeLabelCode({ serial: 'SN-1', keyFingerprint })), {
      code: 'CLAIM_REFUSED',
    });
  }
  await t.rejects(claim(house.accountId, factory.label), { code: 'RATE_LIMITED' });
  const another = await house.addOwner();
  t.match(await claim(another, factory.label), { serial: 'SN-1' });
  house.advance(901);
  await t.rejects(claim(house.accountId, factory.label), { code: 'CLAIM_USED' });
});

t.test('a revoked board is refused to board and owner', async (t) => {
  const house = await fleetHouse(t);
  const factory = new FactoryBoard('SN-1');
  await house.boards.enroll([factory.row]);
  t.match(await house.boards.revokeBoard('SN-1'), { state: 'revoked' });
  t.equal(said(await factory.ask(house, await Board.make())), 'CLAIM_REFUSED');
  const label = { label: factory.label, name: 'n' };
  await t.rejects(house.claims.claimBoard(house.accountId, label), { code: 'CLAIM_REFUSED' });
  await t.rejects(house.boards.revokeBoard('SN-1'), { code: 'STATE_INVALID' });
  await t.rejects(house.boards.revokeBoard('SN-9'), { code: 'NOT_FOUND' });
  t.same(await house.boards.enroll([factory.row]), { added: 0, unchanged: 1 });
  t.match(await house.boards.bySerial('SN-1'), { state: 'revoked' });
});

t.test('after a release the next owner claims the board by the same label', async (t) => {
  const house = await fleetHouse(t);
  const factory = new FactoryBoard('SN-1');
  await house.boards.enroll([factory.row]);
  await house.claims.claimBoard(house.accountId, { label: factory.label, name: 'n' });
  const first = await factory.ask(house, await Board.make());
  await house.certificates.used(serialOf(first));
  await house.lifecycle.release(await house.device(idOf(first)), 'keep', by);
  t.match(await house.boards.bySerial('SN-1'), { account_id: null, name: null, device_id: null });
  const board = await Board.make();
  t.equal(said(await factory.ask(house, board)), 'CLAIM_WAITING');
  const accountId = await house.addOwner();
  await house.claims.claimBoard(accountId, { label: factory.label, name: 'mine' });
  const second = await factory.ask(house, board);
  t.not(idOf(second), idOf(first));
  t.match(await house.device(idOf(second)), { account_id: accountId, name: 'mine' });
});
