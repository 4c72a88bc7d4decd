import { createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import t from 'tap';
import { proofKeyOf, proofOf } from '../../../proto/claim.ts';
import { decodeSetupCode } from '../../../proto/setup-code.ts';
import {
  Board,
  fleetHouse,
  idOf,
  keyOf,
  newSecret,
  PORT,
  pemOf,
  said,
  serialOf,
  traces,
} from './house.ts';

t.setTimeout(120_000);

t.test('a setup code names server, authority and a secret that is kept nowhere', async (t) => {
  const house = await fleetHouse(t);
  const { claims, accountId, authority, store } = house;
  const { claimId, code, expiresAtUs } = await claims.create(accountId, {
    name: 'hall',
    deviceId: null,
  });
  const setup = decodeSetupCode(code);
  t.match(setup, { host: 'localhost', port: PORT });
  t.ok(setup.caFingerprint.equals(authority.fingerprint.subarray(0, 16)));
  const root = new X509Certificate(authority.certificate);
  t.equal(
    root.fingerprint256.replaceAll(':', '').toLowerCase(),
    authority.fingerprint.toString('hex'),
  );
  t.ok(expiresAtUs > house.nowUs());
  const [row] = await claims.list(accountId);
  t.match(row, { claim_id: claimId, name: 'hall', failures: 0, used_at_us: null });
  const kept = Buffer.from(
    JSON.stringify(row) + Buffer.from(row?.sealed_proof_key ?? []).toString('hex'),
  );
  for (const secret of [setup.secret, proofKeyOf(setup.secret)])
    t.notOk(kept.includes(secret.toString('hex')));
  t.same(await claims.list(await house.addOwner()), [], 'another owner sees none');
  t.ok(await store.claims.byId(claimId));
});

t.test('a board with the code becomes a camera of its owner, once it has connected', async (t) => {
  const house = await fleetHouse(t);
  const told: string[] = [];
  house.listeners.add((deviceId) => told.push(deviceId));
  const code = await house.newCode();
  const board = await Board.make();
  const answer = await board.claim(house, code);
  const deviceId = idOf(answer);
  t.match(answer, {
    ca: house.authority.certificate,
    server: { host: 'localhost', port: PORT },
    consentKey: house.consentPublicKey.export({ type: 'spki', format: 'pem' }),
  });
  const certificate = new X509Certificate(pemOf(answer));
  t.equal(certificate.subject, `CN=${deviceId}`);
  t.ok(certificate.verify(createPublicKey(house.authority.certificate)));
  t.match(await house.device(deviceId), {
    account_id: house.accountId,
    name: 'hall',
    state: 'waiting',
    epoch: 1,
  });
  t.match(await house.consent.log(deviceId), [{ event: 'OWNER_CHANGED', how: 'setup code' }]);
  await house.certificates.used(serialOf(answer));
  t.match(await house.device(deviceId), { state: 'claimed' });
  const [claim] = await house.claims.list(house.accountId);
  t.equal(claim?.device_id, deviceId);
  t.ok(claim?.used_at_us);
  t.ok(told.includes(deviceId));
  t.equal(said(await board.claim(house, code)), 'CLAIM_USED', 'then never again');
});

t.test('until it is used the same key gets the same certificate, another key none', async (t) => {
  const house = await fleetHouse(t);
  const code = await house.newCode();
  const board = await Board.make();
  const first = await board.claim(house, code);
  const again = await board.claim(house, code);
  t.equal(pemOf(again), pemOf(first));
  t.equal(said(await (await Board.make()).claim(house, code)), 'CLAIM_USED');
  house.advance(3600);
  t.equal(pemOf(await board.claim(house, code)), pemOf(first), 'even when the code has expired');
  t.same(await traces(house), { devices: 1, certificates: 1, boards: 0, records: 1 });
});

t.test('of boards that claim by one code at once exactly one wins', async (t) => {
  const house = await fleetHouse(t);
  const code = await house.newCode();
  const boards = await Promise.all(Array.from({ length: 8 }, () => Board.make()));
  const answers = await Promise.all(boards.map((board) => board.claim(house, code)));
  t.same(answers.map(said).sort(), ['issued', ...Array(7).fill('CLAIM_USED')].sort());
  t.same(await traces(house), { devices: 1, certificates: 1, boards: 0, records: 1 });
});

t.test('twenty boards with a code each get an id each, for their own key', async (t) => {
  const house = await fleetHouse(t);
  const answers = await Promise.all(
    Array.from({ length: 20 }, async () =>
      (await Board.make()).claim(house, await house.newCode()),
    ),
  );
  t.equal(new Set(answers.map(idOf)).size, 20);
  for (const answer of answers) {
    const row = await house.store.certificates.bySerial(serialOf(answer));
    t.match(row, { device_id: idOf(answer), key_sha256: keyOf(pemOf(answer)) });
  }
});

t.test('a proof is good for its session and its key alone', async (t) => {
  const house = await fleetHouse(t);
  const code = await house.newCode();
  const board = await Board.make();
  const session = randomBytes(32);
  const proof = proofOf(proofKeyOf(code.secret), session, board.csr);
  t.equal(said(await board.claim(house, code, { proof })), 'CLAIM_REFUSED', 'another session');
  const thief = await Board.make();
  t.equal(said(await thief.claim(house, code, { session, proof })), 'CLAIM_REFUSED', 'another key');
  t.equal(said(await board.claim(house, code, { proof: Buffer.alloc(0) })), 'CLAIM_REFUSED');
  const [claim] = await house.claims.list(house.accountId);
  t.match(claim, { failures: 3, last_failure: 'CLAIM_REFUSED' }, 'its owner sees it');
  t.equal(said(await board.claim(house, code, { session, proof })), 'issued');
});

t.test('after five wrong proofs a code is void, and only who knows it hears so', async (t) => {
  const house = await fleetHouse(t);
  const code = await house.newCode();
  const board = await Board.make();
  const wrong = () => board.claim(house, code, { secret: randomBytes(16) });
  const refusals = new Set<string>();
  for (let i = 0; i < 8; i++) refusals.add(JSON.stringify(await wrong()));
  refusals.add(JSON.stringify(await board.claim(house, newSecret())));
  t.equal(refusals.size, 1, 'the same words for a wrong proof and for a code that does not exist');
  t.equal(said(await board.claim(house, code)), 'CLAIM_EXHAUSTED');
  t.match(await house.claims.list(house.accountId), [{ failures: 5 }]);
  t.same(await traces(house), { devices: 0, certificates: 0, boards: 0, records: 0 });
});

t.test('an expired code and a cancelled one are refused', async (t) => {
  const house = await fleetHouse(t);
  const [expired, cancelled] = [await house.newCode(), await house.newCode()];
  await house.claims.cancel(house.accountId, cancelled.claimId);
  await house.claims.cancel(house.accountId, cancelled.claimId);
  const board = await Board.make();
  t.equal(said(await board.claim(house, cancelled)), 'CLAIM_REFUSED');
  house.advance(901);
  t.equal(said(await board.claim(house, expired)), 'CLAIM_EXPIRED');
  t.equal(said(await board.claim(house, expired, { secret: randomBytes(16) })), 'CLAIM_REFUSED');
  const rows = await house.claims.list(house.accountId);
  t.equal(rows.find(({ claim_id }) => claim_id === expired.claimId)?.last_failure, 'CLAIM_REFUSED');
  house.advance(8 * 86_400);
  t.same(await house.claims.list(house.accountId), [], 'shown for a week');
  await house.newCode();
  t.equal(await house.store.claims.byId(expired.claimId), undefined, 'and then forgotten');
});

t.test('to cancel an answered code voids the identity that nobody has used yet', async (t) => {
  const house = await fleetHouse(t);
  const code = await house.newCode();
  const board = await Board.make();
  const answer = await board.claim(house, code);
  await t.rejects(house.claims.cancel(await house.addOwner(), code.claimId), { code: 'NOT_FOUND' });
  await house.claims.cancel(house.accountId, code.claimId);
  t.equal(said(await board.claim(house, code)), 'CLAIM_REFUSED');
  const row = await house.store.certificates.bySerial(serialOf(answer));
  t.ok(row?.revoked_at_us);
  t.match(await house.device(idOf(answer)), { state: 'revoked', state_reason: 'cancelled' });
  const used = await house.newCode();
  await house.certificates.used(serialOf(await (await Board.make()).claim(house, used)));
  await t.rejects(house.claims.cancel(house.accountId, used.claimId), { code: 'CLAIM_USED' });
});

t.test('a camera is not claimed anew under its present id', async (t) => {
  const house = await fleetHouse(t);
  const { deviceId, board } = await house.claimed();
  const fresh = await Board.make();
  const refusal = await fresh.claim(house, await house.newCode(), { deviceId });
  t.match(refusal, { code: 'CLAIM_REFUSED', detail: /reset/ });
  const reused = await board.claim(house, await house.newCode());
  t.match(reused, { code: 'CSR_INVALID', detail: /has a certificate already/ });
});

t.test('10,000 guesses leave nothing behind', async (t) => {
  const house = await fleetHouse(t);
  const code = await house.newCode();
  const { csr } = await Board.make();
  const before = await traces(house);
  const codes = new Set<string>();
  for (let round = 0; round < 100; round++) {
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, at) => {
        const guess = at % 2 === 0 ? newSecret() : { ...newSecret(), claimId: code.claimId };
        const sessionSecret = randomBytes(32);
        const exchange = { kind: 'claim', claimId: guess.claimId } as const;
        const proof = proofOf(proofKeyOf(guess.secret), sessionSecret, csr);
        const from = { exchange, sessionSecret, keySha256: null };
        return house.claims.answer(from, { csr, proof, deviceId: null });
      }),
    );
    for (const answer of answers) codes.add(said(answer));
  }
  t.same([...codes], ['CLAIM_REFUSED']);
  t.same(await traces(house), before);
  t.match(await house.claims.list(house.accountId), [{ failures: 5 }]);
});
