import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { verifyMedia } from '../../../broker/store/verify.ts';
import { type StoreHouse, storeHouse, storeSegment } from './house.ts';

async function houseWith(t: Parameters<typeof storeHouse>[0], count: number): Promise<StoreHouse> {
  const house = await storeHouse(t);
  // The stream of the house has no real init; verify would say so.
  await house.store.index.updateTable('streams').set({ init_sha256: '' }).execute();
  for (let sequence = 0; sequence < count; sequence++) await storeSegment(house, { sequence });
  return house;
}

function pathOf(folder: string, blobId: string): string {
  return join(folder, 'blobs', blobId.slice(0, 10), blobId);
}

const onlySegments = (faults: readonly string[]): string[] =>
  faults.filter((fault) => fault.startsWith('segment'));

t.test('what was stored is found as it was stored', async (t) => {
  const { store } = await houseWith(t, 3);
  const report = await verifyMedia(store, () => undefined);
  t.same(onlySegments(report.faults), []);
  t.match(report, { segments: 3, bytes: 300, leftOver: [] });
  t.match(report.faults, [/^stream .* is not a sealed object/], 'init bytes are checked as well');
});

t.test(
  'each disagreement is named: lost, damaged, shortened, exchanged, and what nobody named',
  async (t) => {
    const { store } = await houseWith(t, 5);
    const rows = await store.index.selectFrom('segments').selectAll().orderBy('sequence').execute();
    const paths = rows.map(({ blob_id }) => pathOf(t.testdirName, blob_id));
    const [lost = '', damaged = '', short = '', exchanged = '', good = ''] = paths;
    rmSync(lost);
    const bytes = readFileSync(damaged);
    bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
    writeFileSync(damaged, bytes);
    writeFileSync(short, readFileSync(short).subarray(0, 50));
    writeFileSync(exchanged, readFileSync(good));
    const stray = `${readdirSync(join(t.testdirName, 'blobs'))[0]}-${'0'.repeat(32)}`;
    writeFileSync(pathOf(t.testdirName, stray), 'x');
    const report = await verifyMedia(store, () => undefined);
    const faults = onlySegments(report.faults).sort((a, b) =>
      (a.split('/')[2] ?? '').localeCompare(b.split('/')[2] ?? ''),
    );
    t.match(faults, [
      /\/0: .*cannot be read/,
      /\/1: .*does not open/,
      /\/2: object .* has 50 bytes/,
      /\/3: .*does not open/,
    ]);
    t.same(report.leftOver, [stray]);
  },
);
