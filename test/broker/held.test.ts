// What HELD.md says of each table, held against the index: no table without an answer, no command that
// is not there, and of what it says is erased nothing is left.
import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { sql } from 'kysely';
import t from 'tap';
import { Credentials } from '../../broker/cli/credentials.ts';
import { runCommand } from '../../broker/cli/program.ts';
import { Terminal } from '../../broker/cli/terminal.ts';
import type { Candidate } from '../../broker/store/commit.ts';
import { newId } from '../../broker/store/ids.ts';
import type { Index } from '../../broker/store/schema.ts';
import { EVENT_KINDS } from '../../proto/event.ts';
import { SCOPES } from '../../proto/scopes.ts';
import { healthOf, infoOf, reportedOf } from '../proto/tellings.ts';
import { type House, openHouse, tell } from './portal/house.ts';
import { BOOT, eventOf, storeSnapshot } from './store/happened.ts';
import { storeSegment, streamOf } from './store/house.ts';

interface Row {
  readonly table: string;
  /** How it is seen, taken along and erased. */
  readonly ways: readonly string[];
  readonly erased: string;
}

function documented(): Row[] {
  const file = readFileSync(new URL('../../broker/HELD.md', import.meta.url), 'utf8');
  return [...file.matchAll(/^\| `(\w+)` \| .*$/gm)].map(([line, table = '']) => {
    const [, , , seen = '', taken = '', erased = ''] = line.split('|').map((cell) => cell.trim());
    return { table, ways: [seen, taken, erased], erased };
  });
}
const ROWS = documented();
const erasedBy = (word: string): string[] =>
  ROWS.filter(({ erased }) => erased.includes(word)).map(({ table }) => table);

async function tablesOf(index: Index): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select name from sqlite_master
    where type = 'table' and name not like 'sqlite_%'`.execute(index);
  return rows.map(({ name }) => name);
}

/** Tables in which a row of this device is. */
async function tablesWith(index: Index, deviceId: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await tablesOf(index)) {
    const { rows } = await sql<object>`select * from ${sql.table(name)}`.execute(index);
    if (rows.some((row) => Object.values(row).includes(deviceId))) found.push(name);
  }
  return found.sort();
}

const by = { actor: 'owner', how: 'test' };

/** A row of the camera in every table that may have one. */
async function fill({ store, consent, installation, anna, nowUs }: House): Promise<void> {
  const { device, accountId } = anna;
  const deviceId = device.device_id;
  const { sha256 } = await consent.policy();
  const { epoch } = await consent.grant(device, SCOPES, sha256, by);
  const house = { store, accountId, deviceId, streamId: newId() };
  const gap: Candidate = {
    kind: 'gap',
    scopes: ['video'],
    row: {
      ...{
        device_id: deviceId,
        gap_id: newId(),
        boot_id: BOOT,
        start_at_us: 5e6,
        start_mono_us: 5e6,
      },
      ...{ duration_us: 5, reason: 'source_lost', epoch, code: null, received_at_us: 5 },
      corrected_us: 0,
    },
  };
  const events = EVENT_KINDS.map((kind) => eventOf(house, { kind, epoch, start_at_us: 5e6 }));
  await store.commit([streamOf(house, ['video'], epoch), gap, ...events]);
  for (const sequence of [0, 1, 2]) await storeSegment(house, { sequence, epoch });
  await storeSnapshot(house, { epoch, start_at_us: 5e6 });
  await store.anchors.note({
    ...{ device_id: deviceId, boot_id: BOOT, offset_us: 0, source: 'camera', at_us: nowUs() },
  });
  await tell({ store, consent, nowUs }, device, { noun: 'info', message: infoOf(epoch) });
  await tell({ store, consent, nowUs }, device, { noun: 'health', message: healthOf(epoch) });
  await tell({ store, consent, nowUs }, device, { noun: 'reported', message: reportedOf(epoch) });
  const batch = { batchId: newId(), firstAtUs: 5, lastAtUs: 5, lines: ['{}'], dropped: 0 };
  await store.logs.put(device, { ...batch, epoch }, nowUs());
  await store.events.setAlertKinds(deviceId, ['motion']);
  await store.labels.set(deviceId, 'site', 'north');
  const patch = { overlay: { clock: true } };
  await installation.configuration.update(device, { patch, seen: 0 }, by);
  await store.deletion.range({ deviceId, fromUs: 0, toUs: 1e6 }, nowUs());
  const rollout = { created_at_us: 1, actor: 'x', selector: '{}', patch: '{}', stages: '[]' };
  const limits = { stop_percent: 1, wait_s: 1, settle_s: 1, state: 'done', state_at_us: 1 };
  const on = { device_id: deviceId, stage: 1, version: 1, state: 'reverted', state_at_us: 1 };
  await store.rollouts.add({ ...rollout, ...limits, why: null }, [{ ...on, detail: 'planted' }]);
}

t.test('every table of the index is answered for, and no other', async (t) => {
  const { store } = await openHouse(t);
  const tables = await tablesOf(store.index);
  t.same(ROWS.map(({ table }) => table).sort(), tables.sort());
  for (const { table, ways } of ROWS) t.ok(ways.every(Boolean), table);
});

t.test('every command that is named is there', async (t) => {
  const cells = ROWS.flatMap(({ ways }) => ways).join(' ');
  const commands = [...new Set(cells.match(/`[a-z -]+`/g))].map((one) => one.slice(1, -1));
  t.ok(commands.length > 20);
  for (const command of commands) {
    const words = command.split(' ');
    const name = words.filter((word) => !word.startsWith('-')).join(' ');
    const stdout = new PassThrough();
    const session = {
      terminal: new Terminal({ stdin: new PassThrough(), stdout, stderr: stdout }),
      credentials: new Credentials(t.testdirName),
      ...{
        nowMs: Date.now,
        editor: { edit: async () => undefined },
        signal: AbortSignal.timeout(60_000),
      },
    };
    await runCommand([...name.split(' '), '--help'], session);
    const help = String(stdout.read());
    t.match(help, new RegExp(`^Usage: lenscap ${name}\\b`), command);
    for (const option of words.filter((word) => word.startsWith('-')))
      t.ok(help.includes(option), `${name} ${option}`);
  }
});

t.test('a withdrawal and a release erase what is said, and nothing else', async (t) => {
  const house = await openHouse(t);
  const { store, consent, installation, anna } = house;
  const deviceId = anna.device.device_id;
  await fill(house);
  const before = await tablesWith(store.index, deviceId);
  for (const table of [...erasedBy('release'), ...erasedBy('deletion'), ...erasedBy('withdrawal')])
    if (table !== 'boards') t.ok(before.includes(table), `${table} is filled`);

  await consent.withdraw(anna.device, ['device_info'], by);
  const without = await tablesWith(store.index, deviceId);
  t.same(
    before.filter((table) => !without.includes(table)),
    ['told'],
  );
  const kinds = await store.index.selectFrom('events').select('kind').execute();
  const { scopes } = (await consent.log(deviceId)).at(-1) ?? {};
  t.notOk(scopes?.includes('device_info'));
  t.same(kinds.map(({ kind }) => kind).sort(), ['covered', 'motion', 'moved', 'sound']);
  const on = await store.rollouts.sentTo([deviceId]);
  t.match(on, [{ state: 'unknown', detail: '' }], 'nor what it answered');

  await installation.lifecycle.release(anna.device, 'delete', by);
  const left = await tablesWith(store.index, deviceId);
  const stays = ['devices', 'ledger', 'tombstones', 'deleted_ranges', 'rollout_devices', 'totals'];
  t.same(left, stays.sort());
  for (const table of left) t.match(ROWS.find((row) => row.table === table)?.erased, /stays|with/);
  const totals = await store.media.totals(deviceId);
  t.match(totals, { segments: 0, bytes: 0 }, 'of nothing');
});
