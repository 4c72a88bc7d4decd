// A claim on a server that breaks off or has no room: old or new, never half, and the repeat succeeds.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import t from 'tap';
import type { Asked } from './claim-once.ts';
import { Board, type Code, type FleetHouse, fleetHouse, idOf, said, traces } from './house.ts';

t.setTimeout(200_000);

const program = new URL('./claim-once.ts', import.meta.url).pathname;

/** Runs the claim in another process under strace, which looks at calls on the index only. */
function underStrace(folder: string, asked: Asked, options: readonly string[]): string {
  const file = join(folder, 'asked.json');
  writeFileSync(file, JSON.stringify(asked));
  const paths = ['index.db', 'index.db-wal'].flatMap((name) => ['-P', join(folder, name)]);
  const run = spawnSync(
    'strace',
    ['-f', '-qq', ...paths, ...options, process.execPath, program, folder, file],
    { encoding: 'utf8' },
  );
  return run.signal === null && run.status === 0 ? run.stdout : 'killed';
}

/** How often a claim writes to the index. */
function writesOf(folder: string, asked: Asked): number {
  const trace = join(folder, 'trace');
  underStrace(folder, asked, ['--seccomp-bpf', '-e', 'trace=pwrite64', '-o', trace]);
  return readFileSync(trace, 'utf8').split('\n').length - 1;
}

async function asking(house: FleetHouse): Promise<{ code: Code; board: Board; asked: Asked }> {
  const [code, board] = [await house.newCode(), await Board.make()];
  const secret = code.secret.toString('hex');
  const csr = Buffer.from(board.csr).toString('hex');
  return { code, board, asked: { claimId: code.claimId, secret, csr } };
}

t.test('killed at a write or sync of the index, the claim succeeds when repeated', async (t) => {
  const house = await fleetHouse(t);
  const writes = writesOf(house.folder, (await asking(house)).asked);
  t.ok(writes > 10, `${writes} writes`);
  const all = Array.from({ length: writes }, (_, at) => at + 1);
  const isShort = process.env.TORTURE === undefined;
  const spread = isShort ? [1, Math.ceil(writes / 2), writes - 1] : all;
  // The index is closed after the answer, which so is lost.
  const last = [['fsync', 1] as const, ['close', 1] as const];
  const kills = [...spread.map((at) => ['pwrite64', at] as const), ...last];
  const outcomes = new Set<string>();
  let devices = 1;
  for (const [call, at] of kills) {
    const { code, board, asked } = await asking(house);
    const kill = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=SIGKILL:when=${at}`];
    const inject = ['-o', '/dev/null', ...kill];
    const outcome = underStrace(house.folder, asked, inject);
    const left = await traces(house);
    const made = (left.devices ?? 0) - devices;
    t.same(left, { ...left, certificates: left.devices, records: left.devices }, 'old or new');
    outcomes.add(`${outcome} ${made}`);
    t.equal(said(await board.claim(house, code)), 'issued', `${call} ${at}: repeated`);
    t.equal(said(await (await Board.make()).claim(house, code)), 'CLAIM_USED');
    devices += 1;
    t.equal((await traces(house)).devices, devices, 'one device');
  }
  t.same([...outcomes].sort(), ['killed 0', 'killed 1']);
});

t.test('on a full disk a claim is refused for now, and nothing of it is there', async (t) => {
  const house = await fleetHouse(t);
  const { store } = house;
  const count = 30;
  const all = await Promise.all(Array.from({ length: count }, () => asking(house)));
  await sql`pragma max_page_count = 1`.execute(store.index);
  const answers = [];
  for (const { board, code } of all) {
    const before = await traces(house);
    const answer = await board.claim(house, code);
    answers.push(answer);
    if (answer.kind === 'issued') continue;
    t.match(answer, { code: 'STORE_FULL', retryAfterS: 30 });
    t.notMatch(answer.detail, /index/, 'nothing of the server’s disk is told');
    t.same(await traces(house), before, 'nothing half done');
  }
  t.ok(answers.some((answer) => said(answer) === 'STORE_FULL'));
  await sql`pragma max_page_count = 1000000`.execute(store.index);
  const after = [];
  for (const { board, code } of all) after.push(idOf(await board.claim(house, code)));
  t.equal(new Set(after).size, count);
  t.match(await traces(house), { devices: count, certificates: count, records: count });
});
