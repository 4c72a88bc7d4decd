// The logger before the journal: whoever logs is not thrown at, and what is shown does no harm.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { makeLog } from '../../../agent/journal/logger.ts';

const LOGGER = new URL('../../../agent/journal/logger.ts', import.meta.url).href;

t.test('a new level holds for loggers that were made before', (t) => {
  const written: string[] = [];
  const { log, setLevel } = makeLog('info', null, { write: (line) => written.push(line) });
  const child = log.child({ part: 'uplink' }).child({ deviceId: 'x' });
  child.debug('one');
  setLevel('debug');
  child.debug('two');
  setLevel('error');
  child.warn('three');
  log.warn('four');
  t.equal(written.length, 1);
  t.match(written[0], '"msg":"two"');
  t.end();
});

t.test('what throws when it is read is said to be unreadable, at its level', (t) => {
  const written: string[] = [];
  const { log } = makeLog('info', null, { write: (line) => written.push(line) });
  const fail = (): never => {
    throw new Error('a getter');
  };
  let endless = new Error('the last');
  for (let depth = 0; depth < 20_000; depth++) endless = new Error('x', { cause: endless });
  log.warn(Object.defineProperty({}, 'x', { enumerable: true, get: fail }), 'a');
  log.warn({ err: Object.defineProperty(new Error(), 'x', { enumerable: true, get: fail }) }, 'b');
  log.warn(new Proxy({}, { ownKeys: fail }), 'c');
  log.warn({ err: endless }, 'd');
  log.child({ part: 'uplink' }).warn({ err: new Proxy(new Error(), { get: fail }) }, 'e');
  t.equal(written.length, 5);
  for (const line of written) t.match(JSON.parse(line), { level: 40, code: 'BUG', msg: /cannot/ });
  t.end();
});

t.test('no line moves a cursor, colours or turns the text of a terminal', (t) => {
  const written: string[] = [];
  const { log } = makeLog('info', null, { write: (line) => written.push(line) });
  const evil = 'a \u001b[31m \u009b2J \u202e \u007f \u2028 \ufeff \r\n \ud800 b';
  log.info({ [evil]: [evil], err: new Error(evil) }, evil);
  const [line = ''] = written;
  t.notMatch(line.slice(0, -1), /\p{Cc}|\p{Cf}|\p{Zl}|\p{Cs}/u);
  t.ok(line.endsWith('}\n'));
  t.match(JSON.parse(line), { msg: evil, [evil]: [evil] }, 'and it is the same text');
  t.end();
});

t.test('who logs goes on where standard error takes nothing', async (t) => {
  const program = `const { makeLog } = await import(process.argv.at(-1));
    const { log } = makeLog('info', null);
    for (let i = 0; i < 400; i++) log.info('x'.repeat(60_000));
    gc();
    console.log('alive', process.memoryUsage().heapUsed < 16 * 2 ** 20);`;
  const args = ['--expose-gc', '--input-type=module', '--eval', program, LOGGER];
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', full] });
  t.teardown(() => child.kill('SIGKILL'));
  closeSync(full);
  t.equal(child.stdout === null ? '' : await text(child.stdout), 'alive true\n');
});
