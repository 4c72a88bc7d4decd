// Boards that their maker enrolled: known by the fingerprint of their factory key, claimed by the code
// on their label, and by nothing less.

import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { encodeLabelCode } from '../../proto/setup-code.ts';
import { Board } from './board.ts';
import { folderOf } from './folder.ts';
import { House } from './house.ts';
import { eventually } from './processes.ts';

t.setTimeout(300_000);
const house = await House.open(t, { claims: { failuresPerMinutePerAddress: 1000 } });
const folder = folderOf(t);
const AT_ONCE = { backoffMinMs: 50, backoffMaxMs: 300 };

interface Made {
  /** Path of the factory identity. */
  readonly file: string;
  readonly serial: string;
  readonly keySha256: string;
  readonly label: string;
}

/** What a maker does: key and self-signed certificate on the board, fingerprint for the batch. */
function make(serial: string, name = serial): Made {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const names = ['-subj', `/CN=${serial}`, '-days', '3650', '-keyout', key, '-out', certificate];
  execFileSync('openssl', ['req', '-x509', ...ec, ...names], { stdio: 'ignore' });
  const { publicKey } = new X509Certificate(readFileSync(certificate));
  const digest = createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' }));
  const keySha256 = digest.digest('hex');
  const file = join(folder, `${name}.factory.json`);
  const identity = {
    version: 1,
    serial,
    privateKey: readFileSync(key, 'utf8'),
    certificate: readFileSync(certificate, 'utf8'),
    server: { host: 'localhost', port: house.mqttPort },
    ca: readFileSync(join(house.folder, 'ca', 'ca.pem'), 'utf8'),
  };
  writeFileSync(file, JSON.stringify(identity), { mode: 0o600 });
  const keyFingerprint = Buffer.from(keySha256, 'hex').subarray(0, 16);
  return { file, serial, keySha256, label: encodeLabelCode({ serial, keyFingerprint }) };
}

async function enroll(...boards: readonly Made[]): Promise<void> {
  const csv = join(folder, 'batch.csv');
  const rows = boards.map(({ serial, keySha256 }) => `${serial},"Model 7, white",${keySha256}`);
  writeFileSync(csv, ['serial,model,key_sha256', ...rows, ''].join('\n'));
  const { code, err } = await house.verb('fleet', 'enroll', csv);
  if (code !== 0) throw new Error(err);
}

async function stateOfBoard(serial: string): Promise<string | undefined> {
  return (await house.inside(({ store }) => store.boards.bySerial(serial)))?.state;
}

t.test(
  'an enrolled board waits, and is its owner’s once he says the code on its label',
  async (t) => {
    const made = make('LC-0001');
    await enroll(made);
    t.equal(await stateOfBoard(made.serial), 'factory');
    const board = new Board(t, 'labelled', { factory: made.file, uplink: AT_ONCE });
    const agent = board.run();
    await eventually('it waits', async () => (await stateOfBoard(made.serial)) === 'waiting');
    t.equal(board.identity, undefined);
    const body = { code: made.label.toLowerCase(), name: 'porch' };
    await house.ask('POST', '/api/claims/label', body);
    await eventually('it has an identity', () => board.identity !== undefined, 60_000);
    await eventually('it is connected', async () => (await house.device(board.id)).connected);
    t.match(await house.device(board.id), { name: 'porch', state: 'claimed' });
    const again = await house.fetch('POST', '/api/claims/label', body);
    t.equal(again.status, 409, 'a label is no use while the board has an owner');

    const { id } = board;
    await house.ask('POST', `/api/devices/${id}/release`, { recordings: 'delete' });
    await eventually('it waits again', async () => (await stateOfBoard(made.serial)) === 'waiting');
    await eventually('without an identity', () => board.identity === undefined);
    await house.ask('POST', '/api/claims/label', { ...body, name: 'the next one' });
    await eventually('it has another', () => board.identity !== undefined, 60_000);
    t.not(board.id, id);
    t.equal(await agent.kill('SIGTERM'), 0);
  },
);

t.test('a serial number alone, another key or another serial is never enough', async (t) => {
  const made = make('LC-0002');
  const impostor = make('LC-0002', 'impostor');
  await enroll(made);
  const real = new Board(t, 'real', { factory: made.file, uplink: AT_ONCE });
  const agent = real.run();
  await eventually('it waits', async () => (await stateOfBoard(made.serial)) === 'waiting');
  for (const [what, code] of [
    ['the label of another key', impostor.label],
    ['a label of nobody', make('LC-9999').label],
    ['the serial number', made.serial],
  ] as const) {
    const { status } = await house.fetch('POST', '/api/claims/label', { code, name: what });
    t.ok(status === 403 || status === 400, `${what}: ${status}`);
  }
  const fake = new Board(t, 'fake', { factory: impostor.file, uplink: AT_ONCE });
  const liar = fake.run();
  await house.ask('POST', '/api/claims/label', { code: made.label, name: 'mine' });
  await liar.says(/CLAIM_REFUSED/);
  await eventually('the real one has an identity', () => real.identity !== undefined, 60_000);
  t.equal(fake.identity, undefined, 'the other one has none');
  t.equal(await agent.kill('SIGTERM'), 0);
  t.equal(await liar.kill('SIGTERM'), 0);
});

t.test('a board that its maker revoked is claimed by nobody', async (t) => {
  const made = make('LC-0003');
  await enroll(made);
  t.equal((await house.verb('fleet', 'revoke', made.serial)).code, 0);
  const { status } = await house.fetch('POST', '/api/claims/label', {
    code: made.label,
    name: 'found in the street',
  });
  t.equal(status, 403);
  const board = new Board(t, 'revoked', { factory: made.file, uplink: AT_ONCE });
  const agent = board.run();
  await agent.says(/CLAIM_REFUSED/);
  t.equal(board.identity, undefined);
  t.equal(await agent.kill('SIGTERM'), 0);
});

t.test('a batch with faults is refused whole, every fault with its line', async (t) => {
  const csv = join(folder, 'bad.csv');
  const good = `LC-0100,Model 7,${'ab'.repeat(32)}`;
  const bad = ['serial,model,key_sha256', good, '../x,Model 7,00', good, 'LC-0101,Model 7'];
  writeFileSync(csv, bad.join('\n'));
  const { code, err } = await house.verb('fleet', 'enroll', csv);
  t.not(code, 0);
  for (const line of [3, 4, 5]) t.match(err, new RegExp(`line ${line}\\b`), err);
  t.equal(await stateOfBoard('LC-0100'), undefined, 'nothing of it was taken');
});
