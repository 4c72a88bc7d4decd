import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { secretsOf } from '../../../agent/journal/made.ts';
import { recordOf } from '../../../agent/journal/record.ts';
import { Scrubber } from '../../../agent/journal/scrub.ts';
import { Secrets } from '../../../agent/journal/secrets.ts';
import { JournalSender } from '../../../agent/journal/sender.ts';
import { ERRORS } from '../../../proto/errors.ts';
import { harmless } from '../../../proto/harmless.ts';
import { seeded } from '../../seeded.ts';
import { PLACES, secretsBy } from './planted.ts';
import { DEVICE, FakeLine, rig } from './rig.ts';

const ERRORS_SAID = Object.values(ERRORS).map(({ message }) => message);

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
    ['found "the lens cap" `of a camera` “and so on', 'found [hidden]'],
    [
      'board 48291 or 482913 after 48291ms and 12.5 s',
      'board [hidden] or [hidden] after 48291ms and 12.5 s',
    ],
    ['to garden or hallway-camera at 12:30', 'to [hidden] or [hidden] at [hidden]'],
    ['it took 1, 2 of 3 with 4 at 5', 'it took 1, 2 of 3 with 4 at 5'],
  ] as const)
    t.equal(scrubber.scrub(text), scrubbed);
  t.end();
});

t.test('control and direction characters are shown by their code', (t) => {
  const scrubber = new Scrubber(new Secrets());
  t.equal(scrubber.scrub('back\u0007 and \u202eback'), 'back\\x07 and \\u{202e}back');
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

t.test('a place is in our own files, and short', (t) => {
  const own = join(import.meta.dirname, '..', '..', '..', 'agent', 'main.ts');
  t.same(placesOf(`    at main (file://${own}:12:3)\n    at ${own}:4:5`), [
    'agent/main.ts:12',
    'agent/main.ts:4',
  ]);
  t.same(placesOf(`    at ${'x'.repeat(500)} (${own}:12:3)`), []);
  t.same(placesOf(`    at x (/etc/agent/main.ts:1:1)\n    at x (${own}x:1:1)\n${own}:1:1`), []);
  t.end();
});

t.test('names and codes of errors pass where they are known, whoever made them', (t) => {
  const scrubber = new Scrubber(new Secrets());
  const line = { level: 40, time: '2026-05-01T12:00:00.000Z', msg: 'failed' };
  const said = (code: string, type: string): unknown => {
    const record = recordOf(JSON.stringify({ ...line, code, err: { type, code } }), scrubber);
    return JSON.parse(record?.text ?? '');
  };
  for (const code of ['STORE_FULL', 'EACCES', 'EAI_AGAIN', 'ERR_INVALID_ARG_TYPE'])
    t.match(said(code, 'LenscapError'), { code, err: { code, type: 'LenscapError' } });
  for (const code of ['EHUNTER', 'ERR_HUNTER', 'HUNTER', 'ERR_', 'ERR_hunter', 'err_type'])
    t.same(said(code, 'HunterError'), { time: line.time, level: 'warn', msg: 'failed', err: {} });
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
  const kinds = secretsBy(random).length;
  t.equal(lines.length, (40 + PLACES.length) * kinds, 'every line is sent');
  const all = lines.join('\n');
  const found = planted.filter((secret) => all.includes(secret));
  t.same(found, [], 'nothing that was planted is in it');
});

t.test('what the agent says itself passes, word for word', (t) => {
  const scrubber = new Scrubber(new Secrets());
  const said = [
    ...ERRORS_SAID,
    ...messagesOf(join(import.meta.dirname, '..', '..', '..', 'agent')),
  ];
  const hidden = said.filter((text) => scrubber.scrub(text) !== text);
  t.ok(said.length > 100, `${said.length} messages`);
  t.ok(
    hidden.length <= said.length / 50,
    `words for agent/journal/words.ts: ${hidden.join(' | ')}`,
  );
  t.end();
});

t.test('no text takes longer than its length', (t) => {
  const scrubber = new Scrubber(new Secrets());
  const startMs = performance.now();
  for (const part of [
    ')',
    '(',
    "'",
    '"',
    'x',
    'a-',
    'x_',
    '::',
    'a ',
    '1 ',
    'ab12-',
    'key ',
    '\u001b[',
  ])
    for (const end of ['x', '=', '!', ' ', ')'])
      scrubber.scrub(`${part.repeat(4096 / part.length - 1)}${end}`);
  t.same(placesOf(`    at ${' /'.repeat(8000)}x`), []);
  t.ok(performance.now() - startMs < 3000, `${(performance.now() - startMs).toFixed(0)} ms`);
  t.end();
});

t.test('what the agent knows to be secret is hidden whatever it looks like', async (t) => {
  const { log, consent, secrets, journal } = rig(t);
  consent.grant();
  const known = ['correct horse battery', 'garden', 'ünïcode "quoted" pass'];
  secrets.add(...known, 'abc');
  for (const secret of known) {
    log.info(`connected ${secret} at once`);
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
  t.match(text, 'connected [hidden] at once');
});

t.test('secrets in files are known, also those that came after the start', (t) => {
  const folder = t.testdir({
    credentials: 'admin:camera stream\r\n',
    'identity.json': JSON.stringify({
      deviceId: DEVICE,
      privateKey: '-----BEGIN PRIVATE KEY-----\nbattery frame\n-----END PRIVATE KEY-----\n',
      nested: { claimSecret: 'time zone' },
    }),
    'broken.json': '{',
  });
  const credentialsFile = join(folder, 'credentials');
  const source = {
    type: 'rtsp',
    url: 'rtsp://x',
    transport: 'tcp',
    latencyMs: 200,
    credentialsFile,
  } as const;
  const paths = { identity: join(folder, 'identity.json'), factory: join(folder, 'broken.json') };
  const config = { ...paths, source };
  const { journal, log, consent, drain } = rig(t, {}, join(folder, 'journal'));
  consent.grant();
  const secrets = secretsOf(config);
  t.same(
    new Set(secrets),
    new Set(['admin:camera stream', 'camera stream', 'battery frame', 'time zone']),
  );
  journal.attach({ deviceId: DEVICE, gate: consent.gate, secrets });
  log.info('the camera stream of the battery frame in the time zone ended');
  t.match(JSON.parse(drain().lines[0] ?? ''), {
    msg: 'the [hidden] of the [hidden] in the [hidden] ended',
  });
  t.same(
    secretsOf({ ...config, identity: join(folder, 'none') }).length,
    2,
    'a file that is not there',
  );
  t.end();
});

/** What a record tells of this stack. */
function placesOf(stack: string): unknown {
  const line = { level: 40, time: '2026-05-01', err: { type: 'Error', message: '', stack } };
  const record = recordOf(JSON.stringify(line), new Scrubber(new Secrets()));
  return JSON.parse(record?.text ?? '').err.at;
}

/** Messages of the log, as they stand in the sources. */
function messagesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const source = readFileSync(join(folder, name), 'utf8');
      const calls = source.matchAll(
        /\blog\.(?:info|warn|error|fatal)\([^;]*?'([^'\n]{3,})',?\s*\)/g,
      );
      return [...calls].map(([, message = '']) => message).filter((message) => message !== ',');
    });
}
