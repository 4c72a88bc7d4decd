// Renewal against a real server with certificates that live for seconds: the fresh pair, the way back
// to the old one, and answers that are not believed.
import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { renewalDueUs, renewalRetryMs } from '../../../agent/identity/renewal-time.ts';
import { makeAuthority } from '../uplink/pki.ts';
import { Board } from './board.ts';
import { certify, Service, type ServiceOptions } from './service.ts';

t.jobs = 3;

async function serve(t: Tap, options: ServiceOptions): Promise<Service> {
  const service = await Service.start(options);
  t.teardown(() => service.close());
  return service;
}
interface Tap {
  teardown(end: () => void): void;
}

const serialOf = (pem: string) => new X509Certificate(pem).serialNumber;
const renewals = (service: Service) => service.nouns().filter((noun) => noun === 'renewal').length;

t.test(
  'a certificate is due from two thirds of its life on, and tried again sooner the less is left',
  async (t) => {
    const day = 86_400e6;
    const life = { certificateStartsAtUs: 0, certificateEndsAtUs: 90 * day };
    t.equal(renewalDueUs(life, 0), 60 * day);
    t.ok(renewalDueUs(life, 1) < 66 * day);
    t.equal(renewalRetryMs(life, 60 * day, 1), 3_600_000, 'at most an hour');
    const short = { certificateStartsAtUs: 0, certificateEndsAtUs: 20e6 };
    t.equal(renewalRetryMs(short, 10e6, 1), 1000);
    t.equal(renewalRetryMs(short, 10e6, 0), 500);
    t.equal(renewalRetryMs(life, 91 * day, 1), 3_600_000, 'a clock that is ahead hurries nobody');
  },
);

t.test(
  'a certificate is renewed with a fresh key, and the old pair goes once the new was used',
  async (t) => {
    const service = await serve(t, { lifeMs: 12_000 });
    const board = new Board(t);
    await board.claim(service.newCode().code);
    const before = board.bundle;
    service.options = {
      lifeMs: 86_400_000,
      renewed: (honest) =>
        honest.kind === 'issued'
          ? { ...honest, certificate: `some words\n${honest.certificate}` }
          : honest,
    };
    const agent = board.run();
    await agent.says('a new certificate is there', 30_000);
    await agent.says('one certificate is left, the one in use');
    const after = board.bundle;
    t.not(after.certificate, before.certificate);
    t.not(after.privateKey, before.privateKey);
    t.equal(after.previous, null);
    t.equal(service.admitted.at(-1)?.serial, serialOf(after.certificate));
    const kept = ['grant', 'identity.json', 'instance', 'journal', 'running', 'spool'];
    t.same(board.files(), kept);
    t.equal(renewals(service), 1);
    t.equal(await agent.kill('SIGTERM'), 0);
    t.notOk(agent.err.includes(after.privateKey.split('\n')[1] ?? ''));
  },
);

t.test('where the new one is refused the old one serves on, and it is tried again', async (t) => {
  const service = await serve(t, { lifeMs: 12_000 });
  const board = new Board(t);
  await board.claim(service.newCode().code);
  const before = board.bundle;
  service.options = {
    lifeMs: 86_400_000,
    renewed: (honest) => {
      if (honest.kind === 'issued' && service.revoked.size === 0)
        service.revoked.add(serialOf(honest.certificate));
      return honest;
    },
  };
  const agent = board.run();
  await agent.says('the certificate before the last change is tried', 30_000);
  await agent.says('"isFresh":false');
  t.same(board.bundle.certificate, before.certificate);
  await agent.says('"isFresh":true', 30_000);
  t.not(board.bundle.certificate, before.certificate);
  t.equal(renewals(service), 2);
  t.notOk(agent.hasEnded);
});

t.test('a certificate that is not for this key is not taken; the next answer is', async (t) => {
  const service = await serve(t, { lifeMs: 12_000 });
  const board = new Board(t);
  const { code, deviceId } = service.newCode();
  await board.claim(code);
  const own = new X509Certificate(board.bundle.certificate).publicKey;
  const spki = Uint8Array.from(own.export({ type: 'spki', format: 'der' })).buffer;
  const stranger = await makeAuthority('authority');
  const lies = [
    await certify(spki, deviceId),
    await certify(spki, deviceId, { by: stranger }),
    'no certificate',
  ].map((certificate) => ({ kind: 'issued', certificate }) as const);
  const refusal = { kind: 'refused', code: 'RATE_LIMITED', detail: 'too early' } as const;
  const answers = [null, Buffer.from('garbage'), refusal, ...lies];
  service.options = {
    lifeMs: 86_400_000,
    renewed: (honest) => answers.shift() ?? (answers.length === 0 ? honest : null),
  };
  const agent = board.run();
  await agent.says('one certificate is left, the one in use', 60_000);
  t.match(agent.err, /no answer[\s\S]*DECODE_INVALID[\s\S]*RATE_LIMITED[\s\S]*for another key/);
  t.equal(service.admitted.at(-1)?.serial, serialOf(board.bundle.certificate));
});
