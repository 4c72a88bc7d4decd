// A board's life in real processes: claimed, admitted again, released, reset, claimed anew.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { decodeInfo } from '../../../proto/info.ts';
import { decodeReleased } from '../../../proto/release.ts';
import { captures, eventually, finished } from '../../e2e/processes.ts';
import { makeAuthority, makePair } from '../uplink/pki.ts';
import { Board } from './board.ts';
import { authority, grantTo, Service, type ServiceOptions } from './service.ts';

t.jobs = 3;

async function serve(t: Tap, options: ServiceOptions = {}): Promise<Service> {
  const service = await Service.start(options);
  t.teardown(() => service.close());
  return service;
}
interface Tap {
  teardown(end: () => void): void;
}

/** The owner consents to video at once. */
const consenting: ServiceOptions = {
  onReady: (deviceId, service) =>
    service.say(deviceId, 'grant', grantTo(deviceId, 1, ['video', 'device_info'])),
};
const causes = (service: Service) =>
  service.heard
    .filter(({ noun }) => noun === 'released')
    .map(({ payload }) => decodeReleased(payload));

t.test('a command claims a board on which no agent runs', async (t) => {
  const service = await serve(t);
  const board = new Board(t);
  const { code, deviceId } = service.newCode();
  const { out, code: status } = await board.claim(code);
  t.equal(status, 0);
  t.match(out, /asking localhost:[\s\S]*right server[\s\S]*saved as[\s\S]*connected with it/);
  t.match(out, deviceId);
  t.equal(board.deviceId, deviceId);
  t.same(board.files(), ['identity.json']);
  t.equal(service.admitted.length, 1, 'the identity was used once');
  t.match(await board.claim(code), { code: 77, err: /the code was used/ });
  t.equal(board.deviceId, deviceId);
});

t.test('a code comes by standard input too, and as the text of a QR code', async (t) => {
  const service = await serve(t);
  const board = new Board(t);
  const { code, deviceId } = service.newCode();
  const script = `printf 'lenscap:%s\\n' "$1" | "$2" "$3" claim - --config "$4"`;
  const agent = new URL('../../../agent/main.ts', import.meta.url).pathname;
  const args = ['sh', code.toLowerCase(), process.execPath, agent, join(board.dir, 'agent.json')];
  t.match(await finished(['sh', '-c', script, ...args]), { code: 0 });
  t.equal(board.deviceId, deviceId);
});

t.test('a code with a typing error never leaves the board', async (t) => {
  const service = await serve(t);
  const board = new Board(t);
  const { code } = service.newCode();
  const wrong = code.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
  for (const bad of [wrong, '', code.repeat(30)]) {
    const { code: status, err } = await board.claim(bad);
    t.equal(status, 65, bad.slice(0, 10));
    t.match(err, /the code cannot be read/);
    t.notOk(err.includes(code.slice(0, 11)), 'and is not repeated');
  }
  t.equal(service.bytes, 0);
  t.same(board.files(), []);
});

t.test('an agent that waits goes to work when a command has claimed its board', async (t) => {
  const service = await serve(t, consenting);
  const board = new Board(t);
  const agent = board.run();
  await agent.says('no identity yet: waiting for a setup code');
  const { code, deviceId } = service.newCode();
  t.match(await board.claim(code), { code: 0, out: /connected with it/ });
  await eventually('pictures', () => service.nouns().includes('segment'));
  t.ok(service.heard.every((heard) => heard.deviceId === deviceId));
  const instances = new Set(service.admitted.map(({ instance }) => instance));
  t.match([...instances], [/^[0-9a-f]{32}$/], 'the server takes both for one board');
  t.equal(instances.size, 1);
  const info = service.heard.find(({ noun }) => noun === 'info');
  t.match(decodeInfo(info?.payload ?? Buffer.alloc(0)), { epoch: 1, agentVersion: /^\d+\./ });
  t.match(await board.command(['check']), { code: 0, out: new RegExp(deviceId) });
  t.equal(await agent.kill('SIGTERM'), 0);
  const keys = [board.bundle.privateKey.split('\n')[1] ?? '', code.slice(0, 17)];
  for (const key of keys) t.notOk(agent.err.includes(key), 'no key and no code is in the log');
});

t.test('a second agent on a state folder ends with a clear error', async (t) => {
  const board = new Board(t);
  const first = board.run();
  await first.says('no identity yet');
  t.match(await board.command(['run']), { code: 75, err: /another agent runs on/ });
  await first.kill('SIGKILL');
  const second = board.run();
  await second.says('no identity yet');
});

t.test('a board is claimed by its label, and asks until it is', async (t) => {
  const service = await serve(t);
  const pair = await makePair(await makeAuthority('maker'), 'board');
  const board = new Board(t, { factory: 'factory.json' });
  const server = { host: 'localhost', port: service.port };
  const factory = { version: 1, serial: 'SN-1', ...pair, server, ca: authority.pem };
  writeFileSync(join(board.dir, 'factory.json'), JSON.stringify(factory), { mode: 0o600 });
  const agent = board.run();
  await agent.says('waiting for an owner');
  service.boards.set('SN-1', 'cam-aaaabbbbccccdddd');
  await agent.says('this camera is claimed');
  await eventually('connected', () => service.nouns().includes('applied'));
  t.equal(board.deviceId, 'cam-aaaabbbbccccdddd');
  service.boards.delete('SN-1');
  t.match(await board.reset(), { code: 0 });
  await agent.says(/waiting for an owner[\s\S]*claimed[\s\S]*waiting for an owner/);
  t.notOk(board.hasIdentity);
  t.ok(existsSync(join(board.dir, 'factory.json')), 'what its maker gave it stays');
});

t.test('a release ends capture, erases everything, and leaves a board to be claimed', async (t) => {
  const service = await serve(t, consenting);
  const board = new Board(t);
  const first = service.newCode();
  await board.claim(first.code);
  const agent = board.run();
  await eventually('pictures', () => service.nouns().includes('segment'));
  t.equal(captures(agent.pid).length, 1);
  let capturing: number | undefined;
  let filesThen: string[] = [];
  service.options = {
    ...service.options,
    onPublish: (noun) => {
      if (noun === 'released') {
        capturing = captures(agent.pid).length;
        filesThen = board.files();
      }
      return true;
    },
  };
  await service.release(first.deviceId);
  await agent.says('the board belongs to nobody');
  t.equal(capturing, 0, 'the camera was closed before the server was told');
  t.same(filesThen, ['identity.json', 'instance', 'releasing'], 'and all but the identity erased');
  t.same(causes(service), ['ordered']);
  t.same(board.files(), ['instance']);
  const heard = service.heard.length;
  const second = service.newCode();
  t.match(await board.claim(second.code), { code: 0 });
  await eventually('pictures again', () =>
    service.heard.slice(heard).some(({ noun }) => noun === 'segment'),
  );
  t.ok(service.heard.slice(heard).every(({ deviceId }) => deviceId === second.deviceId));
  t.notOk(service.nouns().slice(heard).includes('gap'), 'nothing tells of the former owner');
});

t.test('an order that is not genuine changes nothing', async (t) => {
  const service = await serve(t, consenting);
  const board = new Board(t);
  const { code, deviceId } = service.newCode();
  await board.claim(code);
  const agent = board.run();
  await eventually('connected', () => service.nouns().includes('applied'));
  await service.say(deviceId, 'release', Buffer.from('garbage'));
  await agent.says('an order to forget everything is ignored');
  t.equal(board.deviceId, deviceId);
  t.same(causes(service), []);
});

t.test("a reset by a command ends the running agent's capture within a second", async (t) => {
  const service = await serve(t, consenting);
  const board = new Board(t);
  await board.claim(service.newCode().code);
  const agent = board.run();
  await eventually('pictures', () => service.nouns().includes('segment'));
  const done = board.reset();
  await eventually('the mark', () => existsSync(join(board.stateDir, 'resetting')));
  const startMs = performance.now();
  await eventually('the camera closed', () => captures(agent.pid).length === 0);
  t.ok(performance.now() - startMs < 1500, `${Math.round(performance.now() - startMs)} ms`);
  t.match(await done, { code: 0, out: /belongs to nobody/ });
  t.same(causes(service), ['reset']);
  t.same(board.files(), ['instance']);
  await agent.says(/belongs to nobody[\s\S]*no identity yet/);
});

t.test('a reset works while no agent runs, and while the server is away', async (t) => {
  const service = await serve(t);
  const board = new Board(t);
  await board.claim(service.newCode().code);
  t.match(await board.reset(), { code: 0, out: /the server knows/ });
  t.same(causes(service), ['reset']);
  t.same(board.files(), []);
  await board.claim(service.newCode().code);
  t.ok(board.hasIdentity);
  writeFileSync(join(board.stateDir, 'last-pictures'), '{}');
  service.close();
  t.match(await board.reset(), { code: 0, out: /the server does not know/ });
  t.same(board.files(), []);
  t.match(await board.command(['reset']), { code: 64, err: /--yes/ }, 'and never unasked');
});

t.test('a damaged identity can be reset away', async (t) => {
  const board = new Board(t);
  writeFileSync(board.identityPath, '{', { mode: 0o600 });
  t.match(await board.command(['run']), { code: 78, err: /reset|is not JSON/ });
  t.match(await board.reset(), { code: 0 });
  t.same(board.files(), []);
});

t.test('an agent whose certificate is refused goes on when it is admitted again', async (t) => {
  const service = await serve(t, consenting);
  const board = new Board(t);
  const { code, deviceId } = service.newCode();
  await board.claim(code);
  const [{ serial } = { serial: '' }] = service.admitted;
  service.revoked.add(serial);
  const agent = board.run();
  await agent.says('"code":"IDENTITY_REFUSED"');
  t.match(await board.claim(service.newCode(deviceId).code), { code: 0, out: /connected with it/ });
  await eventually('pictures', () => service.nouns().includes('segment'));
  await eventually('one pair is left', () => board.bundle.previous === null);
  t.notOk(agent.hasEnded);
});

t.test('keys are kept out of core dumps', async (t) => {
  const board = new Board(t);
  const agent = board.run();
  await agent.says('no identity yet');
  const filter = readFileSync(`/proc/${agent.pid}/coredump_filter`, 'utf8');
  t.match(filter.trim(), /^0+$/);
});
