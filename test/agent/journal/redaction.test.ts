import t from 'tap';
import { recordOf } from '../../../agent/journal/record.ts';
import { harmless, Scrubber } from '../../../agent/journal/scrub.ts';
import { Secrets } from '../../../agent/journal/secrets.ts';
import { JournalSender } from '../../../agent/journal/sender.ts';
import { seeded } from '../../seeded.ts';
import { PLACES, secretsBy } from './planted.ts';
import { FakeLine, rig } from './rig.ts';

t.test('plain words, small numbers and our own codes pass', (t) => {
  const scrubber = new Scrubber(new Secrets());
  for (const text of [
    'the lens cap is on',
    'a failure is told three times; nothing was sent (STORE_FULL).',
    'x264enc0: 500 Kbps at 640x480, 30fps, took 12.5ms',
    'SIGSEGV in child, status 1',
    "password of the camera is wrong: the camera's clock isn't set",
  ])
    t.equal(scrubber.scrub(text), text);
  t.end();
});

t.test('what has the shape of something else is hidden', (t) => {
  const scrubber = new Scrubber(new Secrets());
  for (const [text, scrubbed] of [
    ['connect ECONNREFUSED 127.0.0.1:8883', 'connect ECONNREFUSED [hidden]'],
    ['open /home/u/secret.txt: ENOENT: no such file', 'open [hidden]: ENOENT: no such file'],
    ['rtsp://user:pw@cam.local:554/x?y=1 refused', '[hidden]'],
    ['wifi_psk=abc def; then', '[hidden]; then'],
    [
      'Unexpected token h, "hunter" is not valid JSON',
      'Unexpected token [hidden] is not valid JSON',
    ],
    ['from 10.0.0.1 fe80::1 ::1 aa:bb:cc:dd:ee:ff aa-bb-cc-dd-ee-ff', 'from [hidden]'],
    ['-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY----- end', '[hidden] end'],
    ['the key is hunter', 'the key is [hidden]'],
  ] as const)
    t.equal(scrubber.scrub(text), scrubbed);
  t.end();
});

t.test('control and direction characters are shown by their code', (t) => {
  const scrubber = new Scrubber(new Secrets());
  t.equal(scrubber.scrub('bell\u0007 and \u202eback'), 'bell\\x07 and \\u{202e}back');
  t.equal(scrubber.scrub('\u001b]0;title\u0007 done'), '\\x1b[hidden]\\x07 done');
  t.equal(harmless('\u009b31m\ud800'), '\\x9b31m\\u{d800}');
  t.end();
});

t.test('a field that is not in the table stays, and so does a value of another kind', (t) => {
  const scrubber = new Scrubber(new Secrets());
  const line = {
    level: 30,
    time: '2026-05-01T12:00:00.000Z',
    code: 'STORE_FULL',
    bytes: 'hunter',
    password: 'hunter',
    nested: { code: 'hunter' },
    cap: 'hunter',
    scopes: ['video', 'hunter'],
    constructor: 'hunter',
    __proto__: 'hunter',
    msg: 'done',
  };
  t.same(JSON.parse(recordOf(JSON.stringify(line), scrubber)?.text ?? ''), {
    time: '2026-05-01T12:00:00.000Z',
    level: 'info',
    code: 'STORE_FULL',
    scopes: ['video'],
    msg: 'done',
  });
  for (const none of ['', 'x', '[]', 'null', '{"level":30}', '{"level":31,"time":"2026-05-01"}'])
    t.equal(recordOf(none, scrubber), null);
  t.end();
});

t.test('of an error its name, code and places in our own files are told', (t) => {
  const { log, consent, drain } = rig(t);
  consent.grant();
  const cause = Object.assign(new Error('read /etc/shadow'), { code: 'EACCES' });
  log.error({ err: new TypeError('no such host cam.example.org', { cause }) }, 'it failed');
  const [line = ''] = drain().lines;
  const { err } = JSON.parse(line);
  t.match(err, { type: 'TypeError', message: 'no such host [hidden]' });
  t.notMatch(line, /example|shadow|\/work|\/home/);
  t.ok(Array.isArray(err.at), 'with a list of places');
  t.end();
});

t.test('no planted secret is found in what would be on the wire', async (t) => {
  const random = seeded(t);
  const { log, consent, journal, drain } = rig(t);
  consent.grant();
  const planted: string[] = [];
  for (let round = 0; round < 40; round++)
    for (const { text, parts } of secretsBy(random)) {
      planted.push(...parts);
      PLACES[Math.floor(random() * PLACES.length)]?.(log, text);
    }
  for (const place of PLACES)
    for (const { text, parts } of secretsBy(random)) {
      planted.push(...parts);
      place(log, text);
    }
  journal.flush();
  const { lines } = drain();
  t.equal(lines.length, (40 + PLACES.length) * 17, 'every line is sent');
  const all = lines.join('\n');
  const found = planted.filter((secret) => all.includes(secret));
  t.same(found, [], 'nothing that was planted is in it');
});

t.test('what the agent knows to be secret is hidden whatever it looks like', async (t) => {
  const { log, consent, secrets, journal } = rig(t);
  consent.grant();
  const known = ['correct horse battery', 'garden', 'ünïcode "quoted" pass'];
  secrets.add(...known, 'abc');
  for (const secret of known) {
    log.info(`joined ${secret} at once`);
    log.info({ detail: encodeURIComponent(secret), reason: `x${secret}y` }, secret);
    log.warn({ err: new Error(`it was ${Buffer.from(secret).toString('base64')}`) }, 'failed');
  }
  const line = new FakeLine();
  const stop = new AbortController();
  const sender = new JournalSender({ journal, gate: consent.gate, log, intervalMs: 5 });
  const running = sender.run(line, stop.signal);
  while (line.payloads.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort();
  await running;
  const wire = Buffer.concat(line.payloads).toString('latin1');
  const text = line.batches.flatMap(({ lines }) => lines).join('\n');
  for (const secret of [...known, ...known.map(encodeURIComponent)]) {
    t.notOk(text.includes(secret), secret);
    t.notOk(wire.includes(secret));
  }
  t.match(text, 'joined [hidden] at once');
});
