// What interrupts a board at a bad moment: signals, locks that are held, disks that take nothing. Each
// ends in words for people or in the old state, never as a bug.
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { departureOf, markDeparture } from '../../../agent/identity/departure.ts';
import { tryIdentityLock, tryRunLock } from '../../../agent/identity/lock.ts';
import { AGENT, eventually, node, Running } from '../../e2e/processes.ts';
import { makeAuthority, makePair } from '../uplink/pki.ts';
import { Board } from './board.ts';
import { authority, Service, type ServiceOptions } from './service.ts';

t.jobs = 3;

async function serve(t: Tap, options: ServiceOptions = {}): Promise<Service> {
  const service = await Service.start(options);
  t.teardown(() => service.close());
  return service;
}
interface Tap {
  teardown(end: () => void): void;
}

/** An error of every such call on one file. */
function broken(path: string, call: string, error: string): string[] {
  const inject = `inject=${call}:error=${error}`;
  return ['strace', '-f', '-qq', '-o', '/dev/null', '-P', path, '-e', inject];
}

t.test('an agent that waits for a command to finish is stopped in good order', async (t) => {
  const board = new Board(t);
  mkdirSync(board.stateDir);
  const lock = tryIdentityLock(board.stateDir);
  t.teardown(() => lock?.release());
  const agent = board.run();
  await eventually('it waits', () => existsSync(join(board.stateDir, 'instance')));
  t.equal(await agent.kill('SIGTERM'), 0);
  t.notOk(agent.err.includes('unexpected'));
});

t.test('a reset that waits for the agent can be stopped, and is noted', async (t) => {
  const board = new Board(t);
  mkdirSync(board.stateDir);
  const lock = tryRunLock(board.stateDir);
  const config = join(board.dir, 'agent.json');
  const command = new Running(t, node(AGENT, 'reset', '--yes', '--config', config));
  await command.says('forgetting the owner');
  t.equal(await command.kill('SIGINT'), 75);
  t.match(command.err, /stopped by SIGINT/);
  t.equal(departureOf(board.stateDir), 'reset');
  lock?.release();
  const agent = board.run();
  await agent.says('the board belongs to nobody');
});

t.test('an agent that is stopped before the server knows of a reset tells it later', async (t) => {
  const service = await serve(t);
  const board = new Board(t);
  await board.claim(service.newCode().code);
  service.options = { onPublish: (noun) => noun !== 'released' };
  const agent = board.run();
  await agent.says('"connection":"up"');
  markDeparture(board.stateDir, 'reset');
  await eventually('it tells', () => service.nouns().includes('released'));
  t.equal(await agent.kill('SIGTERM'), 0);
  t.ok(board.hasIdentity, 'which it needs for that');
  service.options = {};
  const next = board.run();
  await next.says('"isTold":true');
  await next.says('no identity yet');
  t.same(board.files(), ['instance']);
});

t.test('an agent starts on a disk that is full', async (t) => {
  const board = new Board(t);
  mkdirSync(board.stateDir);
  symlinkSync('/dev/full', join(board.stateDir, 'instance'));
  const agent = board.run();
  await agent.says('"code":"STORE_FULL"');
  await agent.says('no identity yet');
});

t.test('a disk that takes nothing is named, whatever fails on it', async (t) => {
  const service = await serve(t);
  const board = new Board(t);
  const under = broken(`${board.identityPath}.pending.new`, 'unlink', 'EROFS');
  t.match(await board.claim(service.newCode().code, under), { code: 74, err: /EROFS/ });
});

t.test('a lock that cannot be opened is named', async (t) => {
  const board = new Board(t);
  mkdirSync(join(board.stateDir, 'lock'), { recursive: true });
  t.match(await board.command(['run']), { code: 74, err: /cannot be locked/ });
});

t.test('a server that tells a board to come back at once is not run down', async (t) => {
  const service = await serve(t, {
    answer: () => ({ kind: 'refused', code: 'CLAIM_WAITING', detail: '', retryAfterS: 0 }),
  });
  const pair = await makePair(await makeAuthority('maker'), 'board');
  const board = new Board(t, { factory: 'factory.json' });
  const server = { host: 'localhost', port: service.port };
  const factory = { version: 1, serial: 'SN-1', ...pair, server, ca: authority.pem };
  writeFileSync(join(board.dir, 'factory.json'), JSON.stringify(factory), { mode: 0o600 });
  const agent = board.run();
  await agent.says('waiting for an owner');
  const startMs = performance.now();
  await eventually('some more asks', () => service.requests.length >= 4);
  t.ok(performance.now() - startMs > 1500, 'it waits between them');
});
