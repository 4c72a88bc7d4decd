// What `lenscap-server verify` makes of a store that somebody or something has changed: each fault by
// its name, and an exit status that says so.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { Run, TestDevice } from './device.ts';
import { House } from './house.ts';
import { FILE_TIMEOUT_MS } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const house = await House.open(t);
const camera = await house.addDevice('camera');
const epoch = await house.grant(camera.id, 'video');
const run = new Run(epoch);
const device = await TestDevice.connect(camera.bundle);
await device.publish('stream', run.streamPayload);
for (let i = 0; i < 4; i++) await device.publish('segment', run.next(20_000).payload);
await device.close();
await house.server.kill('SIGTERM');
const blobs = join(house.folder, 'blobs');
const objects = readdirSync(blobs).flatMap((hour) =>
  readdirSync(join(blobs, hour)).map((name) => join(blobs, hour, name)),
);

/** Name of the segment in an object, as faults give it. */
function segmentIn(path: string): string {
  const [row] = ask(
    `select stream_id, sequence from segments where blob_id = '${path.split('/').at(-1)}'`,
  );
  return `${camera.id}/${row?.stream_id}/${row?.sequence}`;
}

function ask(sql: string): Record<string, unknown>[] {
  const index = new DatabaseSync(indexFile());
  try {
    return index.prepare(sql).all();
  } finally {
    index.close();
  }
}

function indexFile(): string {
  const name = readdirSync(house.folder).find((one) => /\.(db|sqlite)$/.test(one));
  return join(house.folder, name ?? 'index.db');
}

async function isNamed(t: Test, like: RegExp | string): Promise<void> {
  const report = await house.check();
  t.match(report.faults, [like]);
  t.equal(report.faults.length, 1, 'and nothing else');
}

t.test('untouched it has no fault', async (t) => {
  t.equal(objects.length, 4);
  t.match(await house.verify(), {
    code: 0,
    segments: 4,
    faults: { length: 0 },
    leftOver: { length: 0 },
  });
});

t.test('an object with one changed bit, one cut short, one removed: each is named', async (t) => {
  const [path = ''] = objects;
  const whole = readFileSync(path);
  const changed = Buffer.from(whole);
  changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1;
  writeFileSync(path, changed);
  await isNamed(t, segmentIn(path));
  writeFileSync(path, whole.subarray(0, -1));
  await isNamed(t, segmentIn(path));
  rmSync(path);
  await isNamed(t, segmentIn(path));
  writeFileSync(path, whole, { mode: 0o600 });
});

t.test('two objects that changed places are named', async (t) => {
  const [one = '', two = ''] = objects;
  const [first, second] = [readFileSync(one), readFileSync(two)];
  writeFileSync(one, second);
  writeFileSync(two, first);
  const { code, faults } = await house.verify();
  t.equal(code, 74);
  for (const path of [one, two]) t.ok(faults.some((fault) => fault.includes(segmentIn(path))));
  writeFileSync(one, first);
  writeFileSync(two, second);
});

t.test('an object that no row names is told as left over', async (t) => {
  const [path = ''] = objects;
  const extra = path.replace(/[0-9a-f]{32}$/, 'ab'.repeat(16));
  writeFileSync(extra, 'x');
  t.match(await house.verify(), {
    faults: { length: 0 },
    leftOver: ['ab'.repeat(16)].map((id) => new RegExp(id)),
  });
  rmSync(extra);
});

t.test('a file that has no business among the objects does not stop the check', async (t) => {
  const stray = join(blobs, 'stray.txt');
  writeFileSync(stray, 'x');
  const report = await house.check().finally(() => rmSync(stray));
  t.equal(report.segments, 4);
  t.match(JSON.stringify(report), 'stray.txt', 'it is named');
});

/** What keeps an honest server from changing the ledger; not somebody with the file in hand. */
const TRIGGERS = ['ledger_is_append_only', 'ledger_is_never_deleted', 'ledger_is_never_replaced'];

t.test('a record of the ledger that was changed, or is gone, is named', async (t) => {
  const file = indexFile();
  const change = (sql: string) => {
    const index = new DatabaseSync(file);
    for (const trigger of TRIGGERS) index.exec(`drop trigger if exists ${trigger}`);
    index.exec(sql);
    index.close();
  };
  const whole = readFileSync(file);
  const restore = () => {
    for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true });
    writeFileSync(file, whole);
  };
  const ledger = new RegExp(`ledger of ${camera.id}`);
  for (const sql of [
    `update ledger set record = replace(record, '"video"', '"video","audio"') where epoch = 2`,
    `update ledger set signature = (select signature from ledger where epoch = 1) where epoch = 2`,
    'delete from ledger where epoch = 2',
    'delete from ledger where epoch = 1',
    'update devices set epoch = 7',
  ]) {
    change(sql);
    const { faults } = await house.check();
    t.ok(
      faults.some((fault) => ledger.test(fault)),
      `${sql}: ${faults.join(' | ')}`,
    );
    restore();
  }
});

t.test('what is granted in the index beyond the ledger is named', async (t) => {
  const index = new DatabaseSync(indexFile());
  index.exec(`insert into granted values ('${camera.id}', 'audio', 1)`);
  index.close();
  const { faults } = await house.check();
  t.ok(
    faults.some((fault) => fault.includes(camera.id)),
    'sound was never granted',
  );
});
