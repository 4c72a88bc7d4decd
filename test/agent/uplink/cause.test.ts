// What is said of a connection that failed: the right code, and words that say what to do.
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import t, { type Test } from 'tap';
import { lostBecause } from '../../../agent/uplink/cause.ts';
import { dial } from '../../../agent/uplink/dial.ts';
import { LenscapError } from '../../../proto/errors.ts';
import { authority, devicePair } from './rig.ts';

function failed(code: string): LenscapError {
  return lostBecause(Object.assign(new Error('what the library says'), { code }));
}

t.test('each cause has its words and its code', async (t) => {
  const cases: [string, RegExp][] = [
    ['ENOTFOUND', /no such name.*\(ENOTFOUND\)/],
    ['EAI_AGAIN', /name server \(DNS\) does not answer/],
    ['ENETUNREACH', /no route/],
    ['EHOSTUNREACH', /no route/],
    ['ECONNREFUSED', /nothing listens there/],
    ['ETIMEDOUT', /firewall/],
    ['ECONNRESET', /was reset/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', /not the server; nothing was sent to it; .*log-in page/],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', /not the server; nothing was sent/],
    ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', /not the server; nothing was sent/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /not the right server; nothing was sent to it; .*log-in page/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /not the right server.*\(ERR_TLS_CERT_ALTNAME_INVALID\)/],
    ['CERT_HAS_EXPIRED', /not valid today/],
    ['EWHATEVER', /what the library says/],
  ];
  for (const [code, words] of cases)
    t.match(failed(code), { code: 'UPLINK_LOST', detail: words }, code);
  t.match(failed('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'), { code: 'IDENTITY_REFUSED' });
  const known = new LenscapError('CONSENT_MISSING', '');
  t.equal(lostBecause(known), known, 'what has a code keeps it');
});

async function listening(t: Test, answer: Buffer | null): Promise<{ port: number; heard: Buffer }> {
  const seen = { port: 0, heard: Buffer.alloc(0) };
  const server: Server = createServer((socket) => {
    t.teardown(() => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      seen.heard = Buffer.concat([seen.heard, bytes]);
      if (answer !== null) socket.end(answer);
    });
  }).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  seen.port = typeof address === 'object' && address !== null ? address.port : 0;
  return seen;
}

async function why(host: string, port: number, timeoutMs = 5000): Promise<LenscapError> {
  const deps = {
    server: { host, port },
    ca: authority.pem,
    pair: devicePair,
    timeoutMs,
    time: { isWallCredible: () => true },
  };
  try {
    (await dial(deps, new AbortController().signal)).destroy();
    return new LenscapError('BUG', 'connected');
  } catch (error) {
    return lostBecause(error);
  }
}

t.test('a log-in page instead of TLS is named, and gets nothing but a hello', async (t) => {
  const page = 'HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n';
  const portal = await listening(t, Buffer.from(page));
  t.match(await why('localhost', portal.port), { code: 'UPLINK_LOST', detail: /log-in page/ });
  t.notOk(portal.heard.includes('lenscap'), 'no topic');
  t.notOk(portal.heard.includes('cam-'), 'no device id');
  t.equal(portal.heard[0], 22, 'a handshake record');
});

t.test('a name that is none is told from a server that is down', async (t) => {
  const label = `${'x'.repeat(64)}.invalid`;
  t.match(await why(label, 1), { code: 'UPLINK_LOST', detail: /no such name/ });
  const gone = await listening(t, null);
  t.match(await why('localhost', 1), { code: 'UPLINK_LOST', detail: /nothing listens there/ });
  t.match(await why('localhost', gone.port, 200), {
    code: 'UPLINK_LOST',
    detail: /no TLS connection within 200 ms: what answers there says nothing/,
  });
});
