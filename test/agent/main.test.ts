// The real process with the shipped test source against a real broker: from start to a clean end.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { decodeReported, signDesiredConfig } from '../../proto/desired-config.ts';
import type { Scope } from '../../proto/scopes.ts';
import { decodeSegment } from '../../proto/segment.ts';
import { captures, ENV } from '../e2e/processes.ts';
import { consent, DEVICE, grant as grantOf, stranger } from './consent/grants.ts';
import { manager } from './service/manager.ts';
import { makeAuthority, makePair } from './uplink/pki.ts';
import { eventually } from './uplink/rig.ts';
import { type ServerOptions, TestServer } from './uplink/server.ts';

const main = new URL('../../agent/main.ts', import.meta.url).pathname;
const authority = await makeAuthority('authority');
const pair = await makePair(authority, DEVICE);

/** Signed now: the agent takes the time in it for one that has passed. */
const grant = (epoch: number, scopes: readonly Scope[]) =>
  grantOf(epoch, scopes, { issuedAtUs: Date.now() * 1000 });

async function start(t: Tap, options: Partial<ServerOptions> = {}, env: NodeJS.ProcessEnv = {}) {
  const server = new TestServer({
    pair: await makePair(authority, 'server', { type: 'ip', value: '127.0.0.1' }),
    ca: authority.pem,
    deviceId: DEVICE,
    onPublish: ({ ack }) => ack(),
    onReady: () => undefined,
    ...options,
  });
  await server.start();
  const dir = t.testdir();
  const consentKey = consent.publicKey.export({ type: 'spki', format: 'pem' });
  const at = { host: '127.0.0.1', port: server.port };
  const bundle = {
    version: 1,
    deviceId: DEVICE,
    ...pair,
    server: at,
    ca: authority.pem,
    consentKey,
  };
  writeFileSync(join(dir, 'identity.json'), JSON.stringify(bundle), { mode: 0o600 });
  const config = {
    identity: 'identity.json',
    stateDir: 'state',
    source: { type: 'test' },
    // What hangs is left to hang, for those who are to notice.
    capture: { stallTimeoutMs: 60_000 },
    video: { width: 320, height: 240, frameRate: 15, keyframeIntervalMs: 1000 },
    segment: { durationMs: 1000 },
    claim: { lens: false, folders: [] },
    uplink: { backoffMinMs: 50, backoffMaxMs: 200, drainTimeoutMs: 2000 },
    log: { level: 'debug' },
  };
  writeFileSync(join(dir, 'agent.json'), JSON.stringify(config));
  const child = spawn(process.execPath, [main, 'run', '--config', join(dir, 'agent.json')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...ENV, ...env },
  });
  const run = { server, child, dir, text: '' };
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    run.text += text;
  });
  t.teardown(() => {
    child.kill('SIGKILL');
    server.close();
  });
  return run;
}
interface Tap {
  testdir(): string;
  teardown(end: () => void): void;
}

/** Processes that were started by this one and still run. */
function childrenOf({ pid }: ChildProcess): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return (
          readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(pid)
        );
      } catch {
        return false;
      }
    });
}

const isAlive = (pid: string) => {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
};

t.test('a consented camera records, obeys a withdrawal, and ends in order', async (t) => {
  const { server, child, text, ...run } = await start(t, {
    onReady: (ready) => ready.say('grant', grant(1, ['video'])),
  });
  const segments = () => server.nouns().filter((noun) => noun === 'segment').length;
  await eventually('two segments', () => segments() >= 2);
  t.same(server.nouns().slice(0, 3), ['anchor', 'applied', 'stream']);
  const [capture] = childrenOf(child);
  t.ok(capture, 'the capture is a process of its own');
  const startMs = performance.now();
  server.say('grant', grant(2, []));
  await eventually('capture ended', () => !isAlive(capture ?? ''));
  t.comment(`withdrawal to capture ended: ${Math.round(performance.now() - startMs)} ms`);
  await eventually('reported', () => server.nouns().filter((n) => n === 'applied').length === 2);
  const before = segments();
  server.say('grant', grant(3, ['video']));
  await eventually('records again', () => segments() > before);
  const first = server.received.filter(({ noun }) => noun === 'segment')[before];
  t.match(decodeSegment(first?.payload ?? Buffer.alloc(0)), { epoch: 3, sequence: 0 });
  const [second] = childrenOf(child);
  const atStop = segments();
  child.kill('SIGTERM');
  t.same(await once(child, 'exit'), [0, null]);
  t.ok(segments() > atStop, 'the segment under way is sent');
  t.notOk(isAlive(second ?? ''), 'no child is left');
  t.ok(readFileSync(join(run.dir, 'state', 'grant')).length > 0);
  const { epoch } = JSON.parse(readFileSync(join(run.dir, 'state', 'last-pictures'), 'utf8'));
  t.equal(epoch, 3, 'it is noted up to where there are pictures');
});

t.test('without consent nothing is captured, and nothing but the wait goes on', async (t) => {
  const run = await start(t, { onReady: (ready) => ready.say('grant', grant(1, [])) });
  await eventually('connected', () => run.server.nouns().includes('applied'));
  t.same(childrenOf(run.child), []);
  run.child.kill('SIGHUP');
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.same(run.server.nouns(), ['applied']);
  run.child.kill('SIGINT');
  t.same(await once(run.child, 'exit'), [0, null]);
  t.notOk(run.text.includes(pair.privateKey.split('\n')[1] ?? ''), 'the key is in no log');
});

t.test(
  'what is wrong with a configuration is refused or ignored, and the last one stays',
  async (t) => {
    const run = await start(t, {
      onReady: (ready) => ready.say('grant', grant(1, ['device_info'])),
    });
    const { server } = run;
    const say = (
      version: number,
      document: unknown,
      deviceId = DEVICE,
      key = consent.privateKey,
    ) => {
      const text = JSON.stringify(document);
      const payload = signDesiredConfig({ deviceId, version, document: text }, key);
      server.say('config', payload);
      return payload;
    };
    const reports = () =>
      server.received
        .filter(({ noun }) => noun === 'reported')
        .map(({ payload }) => decodeReported(payload));
    await eventually('connected', () => server.nouns().includes('applied'));
    const good = { segment: { durationMs: 2000 } };
    const signed = say(5, good);
    await eventually('applied', () => reports().at(-1)?.state === 'applied');
    const file = join(run.dir, 'state', 'configuration');
    const saved = readFileSync(file);

    const evil = { segment: { durationMs: 500 } };
    say(9, evil, DEVICE, stranger.privateKey);
    say(9, evil, 'cam-bbbbbbbbbbbbbbbb');
    server.say('config', signed.subarray(0, -1));
    server.say('config', Buffer.alloc(1 << 20, 7));
    say(9, { label: { name: 'x'.repeat(1 << 20) } });
    say(4, evil);
    await eventually('the last is heard', () =>
      run.text.includes('an older configuration is ignored'),
    );
    t.equal(run.text.split('a configuration is ignored').length, 6);
    t.strictSame(readFileSync(file), saved, 'nothing of it is kept');

    const polygon = Array.from({ length: 5000 }, () => [1, 0]);
    const table: [object, string, RegExp][] = [
      [{ audio: { on: true } }, '/audio/on', /consent to audio/],
      [{ label: { location: 'Home' } }, '/label/location', /consent to location/],
      [{ masks: [polygon, polygon] }, '/masks/0', /more than 64 items/],
      [{ clock: { timeZone: '! fakesink' } }, '/clock/timeZone', /pattern/],
      [{ clock: { timeZone: 'europe/Berlin' } }, '/clock/timeZone', /pattern/],
      [{ clock: { timeZone: 'Europe/BERLIN' } }, '/clock/timeZone', /e\.g\. Europe/],
      [{ video: { width: 321 } }, '/video/width', /multiple of 2/],
      [{ video: { frameRate: 1e9 } }, '/video/frameRate', /<= 120/],
      [
        { recording: { schedule: [{ days: ['mon'], from: '24:00', to: '25:61' }] } },
        '/recording/schedule/0/from',
        /pattern/,
      ],
      [
        { recording: { schedule: [{ days: ['mon'], from: '08:00', to: '08:00' }] } },
        '/recording/schedule/0/to',
        /00:00 to 24:00/,
      ],
      [{ source: { type: 'rtsp', url: 'rtsp://evil/' } }, '', /\(source\)/],
    ];
    for (const [at, [document, path, message]] of table.entries()) {
      const version = 10 + at;
      say(version, document);
      await eventually(`answered: ${path}`, () => reports().at(-1)?.version === version);
      const { state, inForce, faults = [], settings = '' } = reports().at(-1) ?? {};
      t.match({ state, inForce }, { state: 'rejected', inForce: 5 }, path);
      t.match(faults.find((fault) => fault.path === path)?.message ?? faults, message, path);
      t.equal(JSON.parse(settings).segment.durationMs, 2000, 'the last one is in force');
    }
    t.equal(server.connections, 1);
    run.child.kill('SIGKILL');
    await once(run.child, 'exit');
  },
);

t.test('a second signal ends the process at once', async (t) => {
  const run = await start(t, {
    onReady: (ready) => ready.say('grant', grant(1, ['video'])),
    // Media are never acknowledged, so that the agent has something to wait for.
    onPublish: ({ noun, ack }) => (noun === 'stream' ? undefined : ack()),
  });
  await eventually('sent', () => run.server.nouns().includes('stream'));
  const children = childrenOf(run.child);
  run.child.kill('SIGTERM');
  await eventually('heard', () => run.text.includes('"stopping"'));
  run.child.kill('SIGTERM');
  t.same(await once(run.child, 'exit'), [143, null]);
  await eventually('children gone', () => !children.some(isAlive));
});

t.test(
  'the service manager hears of readiness, pictures, a stop of them, a reload and the end',
  async (t) => {
    const { socket, heard } = await manager(t);
    const run = await start(
      t,
      { onReady: (ready) => ready.say('grant', grant(1, ['video'])) },
      { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '1000000' },
    );
    const count = (words: string) => heard.filter((line) => line.includes(words)).length;
    await eventually('pictures', () => count('STATUS=cap off, recording') > 0);
    t.match(heard[1], /READY=1/);
    const signs = count('WATCHDOG=1');
    await eventually('signs of life', () => count('WATCHDOG=1') >= signs + 2);
    const [capture = 0] = captures(run.child.pid ?? 0);
    process.kill(capture, 'SIGSTOP');
    const complaints = () => run.text.split('no sign of life is given').length - 1;
    await eventually('it is noticed', () => complaints() >= 1);
    const atHang = count('WATCHDOG=1');
    await eventually('for some periods', () => complaints() >= 4);
    t.equal(count('WATCHDOG=1'), atHang, 'no sign of life while the capture hangs');
    process.kill(capture, 'SIGCONT');
    await eventually('pictures again', () => count('WATCHDOG=1') > atHang);
    run.server.say('grant', grant(2, []));
    await eventually('the cap is on', () => count('STATUS=cap on, camera closed') > 0);
    const atCapOn = count('WATCHDOG=1');
    await eventually('that is no reason', () => count('WATCHDOG=1') >= atCapOn + 2);
    run.server.say('grant', grant(3, ['video']));
    const path = join(run.dir, 'agent.json');
    const good = readFileSync(path, 'utf8');
    writeFileSync(path, '{"video":{"width":1}}');
    run.child.kill('SIGHUP');
    await eventually('what is wrong is said', () => /\/video\/width: must be >= 64/.test(run.text));
    writeFileSync(path, good.replace('"stateDir"', '"board":{"resetHoldMs":2000},"stateDir"'));
    run.child.kill('SIGHUP');
    await eventually('what takes a restart is said', () => /\/board\/resetHoldMs/.test(run.text));
    writeFileSync(path, good.replace('"width":320', '"width":352'));
    run.child.kill('SIGHUP');
    await eventually('the new size', () => run.text.includes('352x240'));
    t.equal(count('RELOADING=1'), 3);
    run.child.kill('SIGTERM');
    t.same(await once(run.child, 'exit'), [0, null]);
    await eventually('the end', () => count('STOPPING=1') === 1);
  },
);
