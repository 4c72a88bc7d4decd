import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Reserve } from '../../../broker/store/reserve.ts';
import { smallDisk } from '../../e2e/small-disk.ts';

const disk = smallDisk(t, 8);

t.test('room is kept while there is plenty, and let go of when there is none', async (t) => {
  const path = join(disk.folder, 'reserve');
  const reserve = new Reserve(path);
  t.equal(reserve.look(), false);
  t.equal(statSync(path).size, 1024 * 1024, 'an eighth of a small disk');
  const free = disk.fill();
  t.equal(reserve.look(), true, 'room is short');
  t.notOk(existsSync(path));
  t.equal(reserve.look(), false, 'there is what was let go of');
  t.notOk(existsSync(path), 'and it is not taken again');
  free();
  t.equal(reserve.look(), false);
  t.ok(existsSync(path));
});
