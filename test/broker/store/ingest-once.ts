// Takes in what a camera would send and says what became of each: ingest-once.ts FOLDER FILE, the file
// as `Asked` in JSON. Run under strace by a test.
import { readFileSync, writeSync } from 'node:fs';
import { finishBegun } from '../../../broker/store/repair.ts';
import { openStore } from '../../../broker/store/store.ts';
import { toLenscapError } from '../../../proto/errors.ts';
import { type Asked, takeAll } from './taking.ts';

const [folder = '', file = ''] = process.argv.slice(2);
const asked: Asked = JSON.parse(readFileSync(file, 'utf8'));

/** At once, since the next call may be the last. */
const say = (line: string): void => {
  writeSync(1, `${line}\n`);
};

try {
  const store = await openStore(folder, () => Date.now() * 1000);
  await finishBegun(store);
  await takeAll(store, asked, say);
  await store.close();
  say('closed');
} catch (error) {
  say(`ended ${toLenscapError(error).code} ${error}`);
  process.exit(1);
}
