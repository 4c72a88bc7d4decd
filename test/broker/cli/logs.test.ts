// The log of a camera by the API and the command line: read, followed, taken along, deleted; shown
// harmless whatever the camera wrote.
import { randomBytes } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import t from 'tap';
import type { LogPage } from '../../../broker/cli/log-answers.ts';
import { jsonLines, textLines } from '../../../broker/cli/log-lines.ts';
import { Terminal } from '../../../broker/cli/terminal.ts';
import { eventually } from '../../e2e/processes.ts';
import type { House } from '../portal/house.ts';
import { cancellable, loggedIn } from './process.ts';

const SCOPES = ['video', 'device_log'] as const;
const EVIL = 'evil \u001b[31mred\u001b[0m \u009b2J \u202eback\r\nline';

async function consented(
  house: House,
): Promise<(lines: object[], dropped?: number) => Promise<void>> {
  const { anna, consent, store, nowUs } = house;
  const { sha256 } = await consent.policy();
  const by = { actor: anna.accountId, how: 'test' };
  const { epoch } = await consent.grant(anna.device, SCOPES, sha256, by);
  return async (objects, dropped = 0) => {
    const atUs = nowUs();
    const time = new Date(atUs / 1000).toISOString();
    const lines = objects.map((line) => JSON.stringify({ time, level: 'info', ...line }));
    const batchId = randomBytes(16).toString('hex');
    const times = { firstAtUs: atUs, lastAtUs: atUs };
    await store.logs.put(anna.device, { batchId, epoch, ...times, lines, dropped }, atUs);
  };
}

/** Each test leaves nothing behind that the next one would not delete. */
const shared = (async () => {
  const all = await loggedIn(t);
  return { ...all, put: await consented(all.house) };
})();

t.test('who follows misses nothing and sees nothing twice', async (t) => {
  const { home, put } = await shared;
  await put([{ msg: 'number 0' }]);
  const { shown, end } = cancellable(home, ['logs', 'Front door', '--follow']);
  await eventually('the first is shown', () => shown().includes('number 0'));
  for (let count = 1; count < 12; count++) await put([{ msg: `number ${count}` }]);
  await put([{ time: '1970-01-01T00:00:00.000Z', msg: 'by a clock that was not set' }]);
  await eventually('the last is shown', () => shown().includes('not set'));
  t.equal(await end(), 0);
  const numbers = [...shown().matchAll(/number (\d+)/g)].map(([, number]) => Number(number));
  t.same(numbers, [...Array(12).keys()]);
});

t.test('Ctrl-C is the end of following, also while it asks', async (t) => {
  const { home } = await shared;
  const status = await new Promise<number>((resolve) => {
    // There is more than one page: the next one is being asked for by then.
    const stop = (): void => resolve(following.end());
    const following = cancellable(home, ['logs', 'Front door', '--follow'], stop);
  });
  t.equal(status, 0);
});

t.test('the log is read by time and level, page by page, and deleted', async (t) => {
  const { quick, put } = await shared;
  t.match(await quick('logs', 'Front door', '--delete', '--yes'), { out: 'deleted 13 lines\n' });
  t.match(await quick('logs', 'Front door'), { status: 0, out: '', err: /nothing is stored/ });
  for (let count = 0; count < 9; count++)
    await put([{ part: 'uplink', msg: `line ${count}`, count }]);
  await put([{ level: 'error', msg: EVIL, code: 'STORE_FULL' }], 12);
  const all = await quick('logs', 'Front door');
  t.equal(all.status, 0, all.err);
  t.match(all.out, /^\S+Z info {2}uplink line 0 count=0\n/);
  t.match(all.out, /line 8 count=8\n-- 12 lines were dropped before \S+\n/);
  t.match(
    all.out,
    /error evil \\x1b\[31mred\\x1b\[0m \\x9b2J \\u\{202e\}back\\x0d\\x0aline code=STORE_FULL\n$/,
  );
  t.equal(all.out.split('\n').length, 12);
  const grave = await quick('logs', 'Front door', '--level', 'warn', '--json');
  const lines = grave.out.trim().split('\n');
  t.equal(lines.length, 2);
  t.match(JSON.parse(lines[1] ?? ''), { level: 'error', msg: EVIL }, 'JSON is the same text');
  t.notMatch(grave.out, /[\u0080-\u009f\u202e]/);
  t.match(await quick('logs', 'Front door', '--from', '-1m', '--to', '-30s'), { out: '' });
  t.match(await quick('logs', 'Front door', '--level', 'loud'), { status: 64 });
  t.match(await quick('logs', 'Front door', '--delete', '--yes'), { out: 'deleted 10 lines\n' });
  t.match(await quick('logs', 'Front door'), { out: '' });
});

t.test('it is taken along as JSON lines, and is nobody else’s', async (t) => {
  const { house, put } = await shared;
  for (let count = 0; count < 6; count++) await put([{ count }, { count: count + 100 }], count);
  await put([{ msg: EVIL, [EVIL]: [EVIL] }]);
  const path = `/api/devices/${house.anna.device.device_id}/logs`;
  const token = await house.login(house.anna);
  const taken = await (await house.ask('GET', `${path}/download`, token)).text();
  t.notMatch(taken, /(?!\n)\p{Cc}|\p{Cf}/u, 'nothing of it moves a cursor');
  const counts = taken
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  t.equal(counts.filter(({ count }) => count !== undefined).length, 12);
  t.equal(counts.filter(({ dropped }) => dropped !== undefined).length, 5);
  const page = await house.json<LogPage>('GET', path, token);
  t.equal(page.batches.length, 4);
  const rest = await (await house.ask('GET', `${path}?cursor=${page.next}`, token)).text();
  t.notMatch(rest, /\p{Cc}|\p{Cf}/u);
  t.match(JSON.parse(rest).batches.at(-1).lines[0], { msg: EVIL, [EVIL]: [EVIL] });
  t.ok(page.more);
  t.equal((await house.ask('GET', `${path}?cursor=x`, token)).status, 400);
  const other = await house.login(house.bert);
  for (const [method, url] of [
    ['GET', path],
    ['GET', `${path}/download`],
    ['DELETE', path],
  ] as const)
    t.equal((await house.ask(method, url, other)).status, 404);
  t.equal((await house.ask('GET', path)).status, 401);
});

t.test('what a camera wrote cannot reach the terminal', (t) => {
  const unsafe = { msg: EVIL, [EVIL]: { deep: [EVIL] }, level: 7, time: null, part: EVIL };
  const batch = { receivedAt: 'now', dropped: 0, lines: [unsafe] };
  const [text = ''] = textLines(batch);
  t.notMatch(text, /\p{Cc}|\p{Cf}/u);
  const [json = ''] = jsonLines(batch);
  t.notMatch(json, /\p{Cc}|\p{Cf}/u);
  t.same(JSON.parse(json), unsafe);
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const terminal = new Terminal({ stdin: Readable.from(['no\n']), stdout, stderr });
  terminal.json({ [EVIL]: EVIL });
  terminal.print(EVIL.replace('\n', ' '));
  const shown = String(stdout.read());
  t.notMatch(shown, /(?!\n)\p{Cc}|\p{Cf}/u);
  t.same(JSON.parse(shown.slice(0, shown.indexOf('}') + 1)), { [EVIL]: EVIL });
  void terminal.question(`${EVIL.replace('\n', ' ')}?`).catch(() => undefined);
  t.notMatch(String(stderr.read()), /\p{Cc}|\p{Cf}/u, 'nor in a question');
  t.end();
});
