// The exchange against a real server: what it gets, what it gives away, and what it does not believe.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { KnownTime, systemClock } from '../../../agent/clock.ts';
import { type Applicant, type ExchangeDeps, exchange } from '../../../agent/identity/exchange.ts';
import { findIdentity, loadIdentity } from '../../../agent/identity/identity.ts';
import { makeStateDir } from '../../../agent/identity/state-files.ts';
import type { ClaimAnswer } from '../../../proto/claim.ts';
import { type ErrorCode, toLenscapError } from '../../../proto/errors.ts';
import { decodeSetupCode } from '../../../proto/setup-code.ts';
import { makeAuthority, makePair } from '../uplink/pki.ts';
import {
  authority,
  certify,
  consentKey,
  newDeviceId,
  Service,
  type ServiceOptions,
} from './service.ts';

t.jobs = 4;

const other = await makeAuthority('another authority');
const never = new AbortController().signal;

interface Tap {
  testdir(): string;
  teardown(end: () => void): void;
}

async function serve(t: Tap, options: ServiceOptions = {}): Promise<Service> {
  const service = await Service.start(options);
  t.teardown(() => service.close());
  return service;
}

function board(t: Tap, over: Partial<ExchangeDeps> = {}): ExchangeDeps & { steps: string[] } {
  const dir = t.testdir();
  const stateDir = join(dir, 'state');
  makeStateDir(stateDir);
  const steps: string[] = [];
  return {
    identityPath: join(dir, 'identity.json'),
    stateDir,
    time: new KnownTime(systemClock, 0),
    mayReadmit: true,
    onStep: (step) => steps.push(step),
    steps,
    ...over,
  };
}

const byCode = (code: string): Applicant => ({ kind: 'code', code: decodeSetupCode(code) });

/** Code and message of a failure. */
async function failure(deps: ExchangeDeps, applicant: Applicant, signal = never): Promise<string> {
  try {
    await exchange(deps, applicant, signal);
    return 'issued';
  } catch (error) {
    const { code, message } = toLenscapError(error);
    return `${code} ${message}`;
  }
}

const spkiOf = (key: KeyObject) =>
  Uint8Array.from(createPublicKey(key).export({ type: 'spki', format: 'der' })).buffer;

t.test('a setup code gets the board an identity of its own key', async (t) => {
  const service = await serve(t);
  const deps = board(t);
  const { code, deviceId } = service.newCode();
  writeFileSync(join(deps.stateDir, 'last-pictures'), 'of a former owner');
  const outcome = await exchange(deps, byCode(code), never);
  t.match(outcome, { kind: 'issued', identity: { deviceId } });
  const identity = loadIdentity(deps.identityPath);
  t.match(identity, {
    deviceId,
    previous: null,
    server: { host: 'localhost', port: service.port },
  });
  t.equal(identity.consentKey.asymmetricKeyDetails?.namedCurve, undefined);
  const key = createPrivateKey(identity.privateKey);
  t.equal(key.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  t.equal(statSync(deps.identityPath).mode & 0o777, 0o600);
  t.same(readdirSync(join(deps.stateDir, '..')).toSorted(), ['identity.json', 'state']);
  t.notOk(existsSync(join(deps.stateDir, 'last-pictures')), 'nothing of a former owner is left');
  t.match(deps.steps, [/right server/, deviceId, /saved as/]);
});

t.test('what leaves is a request for the key and a proof, never the secret', async (t) => {
  const service = await serve(t);
  const { code } = service.newCode();
  const { secret } = decodeSetupCode(code);
  await exchange(board(t), byCode(code), never);
  const [request] = service.requests;
  t.equal(service.requests.length, 1);
  t.equal(request?.proof.length, 32);
  for (const part of [request?.csr ?? secret, request?.proof ?? secret])
    t.notOk(Buffer.from(part).includes(secret));
});

t.test('a server of another authority gets not one byte of MQTT', async (t) => {
  const service = await serve(t);
  const impostor = await serve(t, {
    authority: other,
    pair: await makePair(other, 'server', { type: 'dns', value: 'localhost' }),
  });
  const code = decodeSetupCode(service.newCode().code);
  const deps = board(t);
  const said = await failure(deps, { kind: 'code', code: { ...code, port: impostor.port } });
  t.match(said, /^SERVER_UNTRUSTED .*not of the authority that the code names/);
  t.equal(impostor.bytes, 0);
  t.same(readdirSync(join(deps.stateDir, '..')), ['state'], 'not even a key is made');
});

t.test('nor does one that shows the right authority beside a leaf of another', async (t) => {
  const pair = await makePair(other, 'server', { type: 'dns', value: 'localhost' });
  const impostor = await serve(t, { pair });
  const deps = board(t);
  t.match(await failure(deps, byCode(impostor.newCode().code)), /^SERVER_UNTRUSTED /);
  t.equal(impostor.bytes, 0);
});

t.test('nor does one of the authority that has another name', async (t) => {
  const pair = await makePair(authority, 'cam-abcdefghijklmnop');
  const service = await serve(t, { pair });
  t.match(await failure(board(t), byCode(service.newCode().code)), /^SERVER_UNTRUSTED .*ALTNAME/);
  t.equal(service.bytes, 0);
});

t.test('an answer that is not for this board is not believed, and nothing is saved', async (t) => {
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const deviceId = newDeviceId();
  const foreign = await certify(spkiOf(stranger), deviceId);
  const issued = (honest: ClaimAnswer, over: object): ClaimAnswer =>
    honest.kind === 'issued' ? { ...honest, ...over } : honest;
  const lies: Record<string, [(honest: ClaimAnswer) => ClaimAnswer | Buffer, RegExp]> = {
    'another key': [(a) => issued(a, { deviceId, certificate: foreign }), /for another key/],
    'another name': [(a) => issued(a, { deviceId }), /is not for cam-/],
    'another authority': [(a) => issued(a, { ca: other.pem }), /names another authority/],
    'no certificate': [(a) => issued(a, { certificate: 'x' }), /no certificate/],
    'the authority itself': [(a) => issued(a, { certificate: authority.pem }), /for another key/],
    'no consent key': [(a) => issued(a, { consentKey: authority.pem }), /key of the consent/],
    'an RSA consent key': [(a) => issued(a, { consentKey: 'y' }), /key of the consent/],
    'no server': [(a) => issued(a, { server: { host: '', port: 1 } }), /names no server/],
    garbage: [() => Buffer.from('garbage'), /^DECODE_INVALID /],
    nothing: [() => Buffer.alloc(0), /^DECODE_INVALID /],
  };
  for (const [lie, [answer, wanted]] of Object.entries(lies)) {
    const service = await serve(t, { answer });
    const deps = board(t);
    const said = await failure(deps, byCode(service.newCode().code));
    t.match(said, /^(SERVER_UNTRUSTED|DECODE_INVALID) /, lie);
    t.match(said, wanted, lie);
    t.notOk(existsSync(deps.identityPath), lie);
    service.options = {};
    t.equal(await failure(deps, byCode(service.newCode().code)), 'issued', `after ${lie}`);
  }
});

t.test('a certificate of another authority for the right key is not believed', async (t) => {
  const service = await serve(t);
  const deps = board(t);
  const pending = () =>
    createPrivateKey(JSON.parse(readFileSync(`${deps.identityPath}.pending`, 'utf8')).privateKey);
  let certificate = '';
  const { code, deviceId } = service.newCode();
  service.options = {
    answer: (honest) => (honest.kind === 'issued' ? { ...honest, certificate } : honest),
  };
  t.match(await failure(deps, byCode(code)), /no certificate/);
  certificate = await certify(spkiOf(pending()), deviceId, { by: other });
  t.match(await failure(deps, byCode(code)), /^SERVER_UNTRUSTED .*not of the pinned authority/);
  t.notOk(existsSync(deps.identityPath));
});

t.test('each refusal is told by its code', async (t) => {
  const codes: ErrorCode[] = ['CLAIM_REFUSED', 'CLAIM_USED', 'CLAIM_EXPIRED', 'CLAIM_EXHAUSTED'];
  codes.push('RATE_LIMITED', 'STORE_FULL', 'CSR_INVALID');
  for (const code of codes) {
    const service = await serve(t, {
      answer: () => ({ kind: 'refused', code, detail: 'because', retryAfterS: 0 }),
    });
    const deps = board(t);
    t.match(await failure(deps, byCode(service.newCode().code)), new RegExp(`^${code} .*because`));
    t.notOk(existsSync(deps.identityPath));
  }
});

t.test('a server that falls silent is given up, and named', async (t) => {
  const service = await serve(t, { answer: () => null });
  const said = await failure(board(t), byCode(service.newCode().code));
  t.match(said, new RegExp(`^UPLINK_LOST .*localhost:${service.port}: no acknowledgement`));
});

t.test('a server that never lets it subscribe is given up, and named', async (t) => {
  const service = await serve(t, { isDeaf: true });
  const patience = AbortSignal.timeout(40_000);
  const said = await failure(board(t), byCode(service.newCode().code), patience);
  t.match(said, /^UPLINK_LOST .*no acknowledgement/);
});

t.test('a code for which the server knows no owner is not taken for a success', async (t) => {
  const service = await serve(t, {
    answer: () => ({ kind: 'refused', code: 'CLAIM_WAITING', detail: '', retryAfterS: 1 }),
  });
  t.match(await failure(board(t), byCode(service.newCode().code)), /^CLAIM_WAITING /);
});

t.test('words around what was issued are left out, so that it can be read back', async (t) => {
  const wordy = (pem: string) => `subject: something\n${pem}\n${pem}`;
  const service = await serve(t, {
    answer: (honest) =>
      honest.kind === 'issued'
        ? {
            ...honest,
            certificate: wordy(honest.certificate),
            consentKey: wordy(honest.consentKey),
          }
        : honest,
  });
  const deps = board(t);
  const { code, deviceId } = service.newCode();
  t.equal(await failure(deps, byCode(code)), 'issued');
  t.equal(loadIdentity(deps.identityPath).deviceId, deviceId);
});

t.test('a server that is not there is named, and waiting for it can be given up', async (t) => {
  const service = await Service.start();
  const { code } = service.newCode();
  service.close();
  t.match(await failure(board(t), byCode(code)), /^UPLINK_LOST .*localhost:\d+: .*ECONNREFUSED/);
  const deaf = createServer().listen(0, '127.0.0.1');
  await once(deaf, 'listening');
  const address = deaf.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const stop = new AbortController();
  const startMs = performance.now();
  const applicant = { kind: 'code', code: { ...decodeSetupCode(code), port } } as const;
  const failed = failure(board(t), applicant, stop.signal);
  setTimeout(() => stop.abort(), 50);
  t.match(await failed, /abort/i);
  t.ok(performance.now() - startMs < 2000);
  deaf.close();
});

t.test('an answer that was lost is asked for again with the same key', async (t) => {
  const service = await serve(t, { answer: () => null });
  const deps = board(t);
  const { code, deviceId } = service.newCode();
  const failed = failure(deps, byCode(code));
  while (service.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  service.reset();
  t.match(await failed, /^UPLINK_LOST /);
  service.options = {};
  t.match(await exchange(deps, byCode(code), never), { identity: { deviceId } });
  t.match(await failure(board(t), byCode(code)), /^CLAIM_USED /, 'another key gets nothing');
});

t.test('a board with an identity is only admitted again', async (t) => {
  const service = await serve(t);
  const deps = board(t);
  const { code, deviceId } = service.newCode();
  await exchange(deps, byCode(code), never);
  const before = loadIdentity(deps.identityPath);
  t.match(
    await failure(deps, byCode(service.newCode().code)),
    /^CLAIM_REFUSED .*this board is cam-/,
  );
  t.same(findIdentity(deps.identityPath)?.certificate, before.certificate);
  const careless = await serve(t, {
    answer: () => ({
      kind: 'issued',
      deviceId: newDeviceId(),
      certificate: before.certificate,
      ca: authority.pem,
      consentKey,
      server: { host: 'localhost', port: 1 },
    }),
  });
  t.match(await failure(deps, byCode(careless.newCode().code)), /^IDENTITY_EXISTS .*reset/);
  t.equal(await failure(deps, byCode(service.newCode(deviceId).code)), 'issued');
  const after = loadIdentity(deps.identityPath);
  t.not(after.certificate, before.certificate);
  const { privateKey, certificate } = before;
  t.same(
    after.previous,
    { privateKey, certificate },
    'what was is kept until the new one was used',
  );
  const denied = failure({ ...deps, mayReadmit: false }, byCode(service.newCode(deviceId).code));
  t.match(await denied, /^IDENTITY_EXISTS /);
});

async function factoryOf({ port }: Service): Promise<Extract<Applicant, { kind: 'board' }>> {
  const pair = await makePair(other, 'board');
  const server = { host: 'localhost', port };
  const factory = { version: 1, serial: 'SN-0001', ...pair, server, ca: authority.pem } as const;
  return { kind: 'board', factory };
}

t.test('asking by the label in between does not void a code that was answered', async (t) => {
  const service = await serve(t, { answer: () => null });
  const deps = board(t);
  const { code, deviceId } = service.newCode();
  const failed = failure(deps, byCode(code));
  while (service.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  service.reset();
  t.match(await failed, /^UPLINK_LOST /);
  service.options = {};
  t.match(await exchange(deps, await factoryOf(service), never), { kind: 'waiting' });
  t.match(await exchange(deps, byCode(code), never), { identity: { deviceId } });
  t.same(readdirSync(join(deps.stateDir, '..')).toSorted(), ['identity.json', 'state']);
});

t.test('a key that was certified for a former owner is not asked with for ever', async (t) => {
  const service = await serve(t, {
    answer: () => ({ kind: 'refused', code: 'CSR_INVALID', detail: 'known', retryAfterS: 0 }),
  });
  const deps = board(t);
  const applicant = await factoryOf(service);
  t.match(await failure(deps, applicant), /^CSR_INVALID /);
  service.options = {};
  t.match(await exchange(deps, applicant, never), { kind: 'waiting' });
  const keys = service.requests.map(({ csr }) => Buffer.from(csr).subarray(3, 100).toString('hex'));
  t.not(keys[0], keys[1], 'another key');
});

t.test('a board asks by its factory key until an owner has claimed it', async (t) => {
  const service = await serve(t);
  const deps = board(t);
  const applicant = await factoryOf(service);
  t.same(await exchange(deps, applicant, never), { kind: 'waiting', retryAfterS: 1 });
  t.same(await exchange(deps, applicant, never), { kind: 'waiting', retryAfterS: 1 });
  t.equal(service.requests[0]?.proof.length, 0);
  const keys = service.requests.map(({ csr }) => Buffer.from(csr).subarray(3, 100).toString('hex'));
  t.equal(keys[0], keys[1], 'with one key');
  const deviceId = newDeviceId();
  service.boards.set('SN-0001', deviceId);
  t.match(await exchange(deps, applicant, never), { kind: 'issued', identity: { deviceId } });
  const { certificate } = loadIdentity(deps.identityPath);
  t.match(new X509Certificate(certificate).subject, deviceId);
});

t.test('no error and no step carries a byte of a key or of the code', async (t) => {
  const service = await serve(t, { answer: () => Buffer.from('garbage') });
  const deps = board(t);
  const { code } = service.newCode();
  const said = [await failure(deps, byCode(code))];
  service.options = {};
  await exchange(deps, byCode(code), never);
  said.push(await failure(deps, byCode(service.newCode().code)), ...deps.steps);
  const lines = loadIdentity(deps.identityPath).privateKey.split('\n');
  for (const line of said) {
    t.notOk(line.includes(lines[1]?.slice(0, 12) ?? 'none'));
    t.notOk(line.includes(code.slice(0, 11)));
  }
});
