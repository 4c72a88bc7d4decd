// What both programs say to wrong settings and wrong use: every fault with its path, the exit status
// that service managers know, and never a byte of a secret.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { writeConfig } from './agent.ts';
import { House } from './house.ts';
import { AGENT, FILE_TIMEOUT_MS, finished, node, SERVER } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const house = await House.open(t);
const camera = await house.addDevice('camera');
const CLI = SERVER.replace('main.ts', 'cli/main.ts');

/** A file with this content in the test's folder. */
function file(name: string, content: unknown): string {
  const path = join(house.folder, '..', name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

t.test(
  'the agent names every fault of its configuration with its path, and exits 78',
  async (t) => {
    const config = file('bad-agent.json', {
      identity: '',
      stateDir: 7,
      source: { type: 'v4l2', device: '/etc/passwd ! filesink location=/tmp/x' },
      video: { width: 1e9, frameRate: 'NaN', encoder: 'x264enc ! udpsink' },
      audio: { source: 'spy' },
      segmnet: { durationMs: 1 },
      uplink: { window: 0 },
    });
    const { code, out, err } = await finished(node(AGENT, 'run', '--config', config));
    t.equal(code, 78);
    t.equal(out, '');
    const paths = ['/identity', '/stateDir', '/source/device', '/video/width', '/video/frameRate'];
    for (const path of [...paths, '/video/encoder', '/audio/source', 'segmnet', '/uplink/window'])
      t.match(err, path);
    t.match(err, 'bad-agent.json', 'and the file');
  },
);

t.test('the agent refuses settings that are right alone and wrong together', async (t) => {
  const config = file('cross.json', {
    identity: camera.file,
    stateDir: 'state',
    source: { type: 'v4l2', device: '/dev/video0' },
    audio: { source: 'source' },
    capture: { backoffMinMs: 5000, backoffMaxMs: 1000 },
  });
  const { code, err } = await finished(node(AGENT, 'run', '--config', config));
  t.equal(code, 78);
  t.match(err, /\/audio\/source.*\n.*|\/capture\/backoffMinMs/);
  t.match(err, '/audio/source');
  t.match(err, '/capture/backoffMinMs');
});

t.test(
  'files that are absent, no JSON, or a secret in the wrong place are named, not quoted',
  async (t) => {
    const secret = readFileSync(camera.file, 'utf8');
    for (const path of [join(house.folder, 'nowhere.json'), file('broken.json', '{"identity": ')]) {
      const { code, err } = await finished(node(AGENT, 'run', '--config', path));
      t.equal(code, 78, path);
      t.match(err, path);
    }
    const { code, err } = await finished(node(AGENT, 'run', '--config', camera.file));
    t.equal(code, 78, 'the bundle as configuration');
    t.notMatch(err, /PRIVATE KEY/);
    t.ok(secret.includes('PRIVATE KEY'));
  },
);

t.test(
  'a bundle that others can read, or that is damaged, is refused with what to do',
  async (t) => {
    const config = writeConfig(camera);
    chmodSync(camera.file, 0o644);
    const open = await finished(node(AGENT, 'run', '--config', config));
    t.equal(open.code, 78);
    t.match(open.err, `chmod 600 ${camera.file}`);
    chmodSync(camera.file, 0o600);
    const whole = readFileSync(camera.file, 'utf8');
    const bundle: { deviceId: string; privateKey: string } = JSON.parse(whole);
    for (const damaged of [
      whole.slice(0, 100),
      JSON.stringify({ ...bundle, privateKey: bundle.privateKey.replace(/[A-Z]{3}/g, 'AAA') }),
    ]) {
      writeFileSync(camera.file, damaged);
      const { code, err } = await finished(node(AGENT, 'run', '--config', config));
      t.equal(code, 78);
      t.match(err, camera.file);
      t.notOk(err.includes(bundle.privateKey.split('\n')[1] ?? ''), 'without a byte of the key');
    }
    writeFileSync(camera.file, whole);
    const good = await finished(node(AGENT, 'check', '--config', config));
    t.match(good, { code: 0, out: camera.id });
  },
);

t.test('a state folder that cannot be used ends the agent with 74', async (t) => {
  const config: object = JSON.parse(readFileSync(writeConfig(camera), 'utf8'));
  const path = file('state.json', { ...config, stateDir: camera.file });
  const { code, err } = await finished(node(AGENT, 'run', '--config', path));
  t.equal(code, 74);
  t.match(err, '/stateDir');
});

t.test(
  'the server names every fault of its configuration with its path, and exits 78',
  async (t) => {
    const folder = join(house.folder, '..', 'bad-server');
    mkdirSync(folder);
    const config = {
      mqtt: { port: 99999, maxPacketBytes: '16M', extra: 1 },
      http: { publicUrl: 'ftp://x' },
      consent: { leaseS: 0 },
      stoer: {},
    };
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
    const { code, err } = await finished(node(SERVER, 'serve', '--data', folder));
    t.equal(code, 78);
    for (const path of [
      '/mqtt/port',
      '/mqtt/maxPacketBytes',
      'extra',
      '/http/publicUrl',
      '/consent/leaseS',
      'stoer',
    ])
      t.match(err, path);
  },
);

t.test(
  'two servers on one data folder: the second ends with 75 and says why, the first goes on',
  async (t) => {
    const { code, err } = await house.verb('serve');
    t.equal(code, 75);
    t.match(err, 'STORE_LOCKED');
    t.match(await house.device(camera.id), { connected: false });
  },
);

t.test('a port that is taken ends the server with a word on it', async (t) => {
  const folder = join(house.folder, '..', 'taken');
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({ mqtt: { port: house.mqttPort }, http: { port: 0 } }),
  );
  const { code, err } = await finished(node(SERVER, 'serve', '--data', folder));
  t.not(code, 0);
  t.match(err, String(house.mqttPort));
  t.notMatch(err, /\n {4}at /, 'without a stack');
});

t.test('wrong use of any of the programs gets its usage and exit status 64', async (t) => {
  const uses: [string, ...string[]][] = [
    [AGENT, 'grant'],
    [AGENT, 'run'],
    [AGENT],
    [SERVER, 'watch'],
    [SERVER, 'consent', 'grant'],
    [SERVER, 'serve'],
    [SERVER, 'device', 'add'],
    [CLI, 'spy'],
  ];
  for (const [program, ...args] of uses) {
    const { code, out, err } = await finished(node(program, ...args));
    const name = `${program.split('/').slice(-2).join('/')} ${args.join(' ')}`;
    t.match(err + out, /usage|required|unknown command|missing/i, name);
    t.equal(code, 64, name);
  }
});

t.test("the operator's verbs name what is not there", async (t) => {
  const revoked = await house.verb('device', 'revoke', 'cam-aaaaaaaaaaaaaaaa');
  t.equal(revoked.code, 66);
  t.match(revoked.err, 'cam-aaaaaaaaaaaaaaaa');
  const out = join(house.folder, 'x.json');
  const added = await house.verb(
    'device',
    'add',
    '--account',
    'nobody@example.org',
    '--name',
    'x',
    '--out',
    out,
  );
  t.equal(added.code, 66);
  t.match(added.err, 'nobody@example.org');
  const policy = await house.verb('policy', 'publish', file('policy.json', { version: 0 }));
  t.equal(policy.code, 78);
  t.match(policy.err, '/version');
});
