// Claiming over HTTP: setup codes made, seen to their end, and never seen again.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Claim, Device, MadeClaim } from '../../../broker/cli/device-answers.ts';
import { claimState } from '../../../broker/portal/claim-state.ts';
import type { Tables } from '../../../broker/store/schema.ts';
import { decodeSetupCode, qrText } from '../../../proto/setup-code.ts';
import { readPng } from '../cli/qr-reader.ts';
import { Board, FactoryBoard, idOf, said, serialOf } from '../fleet/house.ts';
import { type House, openHouse } from './house.ts';

async function ready(t: Parameters<typeof openHouse>[0], settings = {}) {
  const house = await openHouse(t, settings);
  const token = await house.login(house.anna);
  const make = (body: object = { name: 'Cellar' }): Promise<MadeClaim> =>
    house.json('POST', '/api/claims', token, body);
  const list = async (): Promise<Claim[]> =>
    (await house.json<{ claims: Claim[] }>('GET', '/api/claims', token)).claims;
  return { house, token, make, list };
}

const codeOf = ({ claimId, code }: MadeClaim) => ({
  claimId,
  secret: decodeSetupCode(code).secret,
});

async function connect(house: House, answer: Awaited<ReturnType<Board['claim']>>): Promise<void> {
  await house.installation.certificates.used(serialOf(answer));
}

t.test('a setup code is shown once, as text and as pictures, and kept nowhere', async (t) => {
  const { house, make, list } = await ready(t);
  const made = await make();
  t.match(decodeSetupCode(made.code), { host: 'localhost', port: 8883 });
  t.equal(Date.parse(made.expiresAt), Math.floor(Date.parse(made.expiresAt)));
  t.match(made.qr.svg, /^<svg /);
  const png = join(house.folder, 'code.png');
  await writeFile(png, Buffer.from(made.qr.png, 'base64'));
  t.equal(await readPng(png), qrText(made.code));
  const [claim] = await list();
  t.match(claim, {
    claimId: made.claimId,
    name: 'Cellar',
    state: 'open',
    failures: 0,
    lastFailure: null,
    deviceId: null,
    isReadmission: false,
  });
  const { secret } = codeOf(made);
  const text = JSON.stringify(claim);
  t.notOk(text.includes(made.code) || text.includes(secret.toString('hex')));
  for (const name of ['index.db', 'index.db-wal']) {
    const bytes = await readFile(join(house.folder, 'data', name));
    t.notOk(bytes.includes(secret) || bytes.includes(made.code), `not in ${name}`);
  }
});

t.test('its owner sees how a code fares: failures, the answer, the camera', async (t) => {
  const { house, token, make, list } = await ready(t);
  const made = await make();
  const board = await Board.make();
  const wrong = { ...codeOf(made), secret: Buffer.alloc(16) };
  t.equal(said(await board.claim(house.installation, wrong)), 'CLAIM_REFUSED');
  t.match(await list(), [{ state: 'open', failures: 1, lastFailure: 'CLAIM_REFUSED' }]);
  const answer = await board.claim(house.installation, codeOf(made));
  const deviceId = idOf(answer);
  t.match(await list(), [{ state: 'answered', deviceId }]);
  const waiting: Device = await house.json('GET', `/api/devices/${deviceId}`, token);
  t.match(waiting, { name: 'Cellar', state: 'waiting', cap: 'on', agentVersion: null });
  await connect(house, answer);
  t.match(await list(), [{ state: 'used', deviceId }]);
  const claimed: Device = await house.json('GET', `/api/devices/${deviceId}`, token);
  t.match(claimed, { state: 'claimed', stateReason: null, releasedAt: null });
  t.ok(Date.parse(claimed.certificateEnd ?? '') > Date.now() + 89 * 86_400_000);
  const cancel = await house.ask('DELETE', `/api/claims/${made.claimId}`, token);
  t.match(await cancel.json(), { code: 'CLAIM_USED' });
});

t.test('a code that was cancelled, tried too often or is over says so', async (t) => {
  const { house, token, make, list } = await ready(t);
  const [cancelled, tried, over] = [await make(), await make(), await make()];
  await house.json('DELETE', `/api/claims/${cancelled.claimId}`, token);
  const board = await Board.make();
  t.equal(said(await board.claim(house.installation, codeOf(cancelled))), 'CLAIM_REFUSED');
  for (let attempt = 0; attempt < 5; attempt += 1)
    await board.claim(house.installation, { ...codeOf(tried), secret: Buffer.alloc(16) });
  t.equal(said(await board.claim(house.installation, codeOf(tried))), 'CLAIM_EXHAUSTED');
  house.advance(901e6);
  t.equal(said(await board.claim(house.installation, codeOf(over))), 'CLAIM_EXPIRED');
  const states = new Map((await list()).map(({ claimId, state }) => [claimId, state]));
  t.strictSame(
    [cancelled, tried, over].map(({ claimId }) => states.get(claimId)),
    ['cancelled', 'void', 'expired'],
  );
});

t.test(
  'open codes are bounded, also for many requests at once; ended ones do not count',
  async (t) => {
    const { house, token, make, list } = await ready(t, { claims: { maxOpen: 3 } });
    const body = { name: 'x' };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => house.ask('POST', '/api/claims', token, body)),
    );
    t.strictSame(
      answers.map(({ status }) => status).sort(),
      [200, 200, 200, 429, 429, 429, 429, 429],
    );
    const refused = answers.find(({ status }) => status === 429);
    t.match(await refused?.json(), { code: 'RATE_LIMITED', retry: true });
    t.equal((await list()).length, 3);
    const bert = await house.login(house.bert);
    t.equal((await house.ask('POST', '/api/claims', bert, body)).status, 200, 'others go on');
    const [first] = await list();
    await house.json('DELETE', `/api/claims/${first?.claimId}`, token);
    t.match(await make(), { code: /-/ });
    house.advance(901e6);
    t.match(await make(), { code: /-/ });
  },
);

t.test("another owner's claim and camera are like none", async (t) => {
  const { house, make, list } = await ready(t);
  const { claimId } = await make();
  const bert = await house.login(house.bert);
  t.strictSame(await house.json('GET', '/api/claims', bert), { claims: [] });
  const ask = async (method: string, path: string, body?: unknown): Promise<[number, string]> => {
    const response = await house.ask(method, path, bert, body);
    return [response.status, await response.text()];
  };
  const others = await ask('DELETE', `/api/claims/${claimId}`);
  t.equal(others[0], 404);
  t.strictSame(others, await ask('DELETE', `/api/claims/claim-${'a'.repeat(16)}`));
  const readmit = (deviceId: string) => ask('POST', '/api/claims', { name: 'x', deviceId });
  const camera = await readmit(house.anna.device.device_id);
  t.equal(camera[0], 404);
  t.strictSame(camera, await readmit(`cam-${'a'.repeat(16)}`));
  t.match(await list(), [{ state: 'open' }], 'it is as it was');
});

t.test('a camera of its owner is let in again and keeps its id', async (t) => {
  const { house, token, make, list } = await ready(t);
  const deviceId = house.anna.device.device_id;
  const made = await make({ name: 'Front door', deviceId });
  t.match(await list(), [{ isReadmission: true, deviceId }]);
  const answer = await (await Board.make()).claim(house.installation, codeOf(made));
  t.equal(idOf(answer), deviceId);
  await connect(house, answer);
  t.match(await list(), [{ state: 'used', deviceId }]);
  await house.json('POST', `/api/devices/${deviceId}/revoke`, token);
  const late = await house.ask('POST', '/api/claims', token, { name: 'x', deviceId });
  t.equal(late.status, 409);
  t.match(await late.json(), { code: 'STATE_INVALID' });
});

t.test('an enrolled board is claimed by its label, by one owner', async (t) => {
  const { house, token } = await ready(t);
  const board = new FactoryBoard('LX-0001');
  await house.installation.boards.enroll([board.row]);
  const body = { code: board.label.toLowerCase().replaceAll('-', ' '), name: 'Barn' };
  const key = await Board.make();
  t.equal(said(await board.ask(house.installation, key)), 'CLAIM_WAITING');
  const claimed = await house.json('POST', '/api/claims/label', token, body);
  t.strictSame(claimed, { serial: 'LX-0001', model: 'Lens 1' });
  const bert = await house.login(house.bert);
  const second = await house.ask('POST', '/api/claims/label', bert, body);
  t.match(await second.json(), { code: 'CLAIM_USED' });
  const answer = await board.ask(house.installation, key);
  await connect(house, answer);
  const device: Device = await house.json('GET', `/api/devices/${idOf(answer)}`, token);
  t.match(device, { name: 'Barn', state: 'claimed' });
  const typo = `${board.label.slice(0, -1)}${board.label.endsWith('0') ? '1' : '0'}`;
  const wrong = await house.ask('POST', '/api/claims/label', bert, { code: typo, name: 'x' });
  t.match(await wrong.json(), { code: 'CODE_INVALID' });
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 6; attempt += 1) {
    const { label: code } = new FactoryBoard('LX-0001');
    const guess = { code, name: 'x' };
    statuses.push((await house.ask('POST', '/api/claims/label', bert, guess)).status);
  }
  t.strictSame(statuses, [403, 403, 403, 403, 403, 429], 'the serial alone is not enough');
});

t.test('the state of a code follows from its row', async (t) => {
  const row: Tables['claims'] = {
    claim_id: 'claim-x',
    account_id: 'a',
    name: 'n',
    sealed_proof_key: new Uint8Array(),
    created_at_us: 0,
    expires_at_us: 100,
    failures: 0,
    last_failure: null,
    device_id: null,
    is_readmission: 0,
    key_sha256: null,
    used_at_us: null,
    cancelled_at_us: null,
  };
  const cases: [Partial<typeof row>, number, string][] = [
    [{}, 99, 'open'],
    [{}, 100, 'expired'],
    [{ failures: 4 }, 0, 'open'],
    [{ failures: 5 }, 100, 'void'],
    [{ key_sha256: 'k' }, 200, 'answered'],
    [{ key_sha256: 'k', used_at_us: 1 }, 200, 'used'],
    [{ key_sha256: 'k', cancelled_at_us: 1 }, 0, 'cancelled'],
    [{ cancelled_at_us: 1, failures: 5 }, 200, 'cancelled'],
  ];
  for (const [change, nowUs, state] of cases)
    t.equal(claimState({ ...row, ...change }, nowUs, { failures: 5 }), state);
});
