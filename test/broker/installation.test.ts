import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openInstallation } from '../../broker/installation.ts';
import { withInstallation } from '../../broker/operator.ts';
import { checkServerConfig } from '../../proto/server-config.ts';

const config = checkServerConfig({}, 'defaults');

async function made(folder: string): Promise<void> {
  await (await openInstallation(folder, config)).store.close();
}

for (const lost of ['keys/root.key', 'keys/consent.key', 'ca/ca.key', 'ca/ca.pem'])
  t.test(`a lost ${lost} is named and not made anew`, async (t) => {
    const folder = t.testdir();
    await made(folder);
    rmSync(join(folder, lost));
    const expected = { code: 'STORE_CORRUPT', message: new RegExp(`${lost} is lost`) };
    await t.rejects(openInstallation(folder, config), expected);
    await t.rejects(openInstallation(folder, config), expected, 'nor the next time');
  });

t.test('a first start that broke off is begun again', async (t) => {
  const folder = t.testdir();
  await made(folder);
  for (const name of ['index.db', 'index.db-wal', 'index.db-shm', 'keys/consent.key'])
    rmSync(join(folder, name), { force: true });
  await made(folder);
});

t.test('a damaged index is named', async (t) => {
  const folder = t.testdir();
  await made(folder);
  for (const name of ['index.db-wal', 'index.db-shm']) rmSync(join(folder, name), { force: true });
  writeFileSync(join(folder, 'index.db'), 'x'.repeat(8192));
  await t.rejects(openInstallation(folder, config), {
    code: 'STORE_CORRUPT',
    message: /index\.db/,
  });
});

t.test('an index of another version is named, and nobody is told to restore it', async (t) => {
  const folder = t.testdir();
  const { store } = await openInstallation(folder, config);
  await store.index.updateTable('meta').set({ value: '1' }).where('key', '=', 'schema').execute();
  await store.close();
  await t.rejects(openInstallation(folder, config), {
    code: 'STORE_FAILED',
    message: /version 1 and this server reads \d+; use the server that wrote it/,
  });
});

t.test('a verb on a folder without data makes nothing', async (t) => {
  const folder = join(t.testdir(), 'typo');
  await t.rejects(
    withInstallation(folder, config, async () => undefined),
    { code: 'NOT_FOUND' },
  );
});
