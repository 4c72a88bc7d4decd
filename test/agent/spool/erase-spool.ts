// Erases the spool of a state folder: erase-spool.ts STATE_DIR. Run under strace by a test.
import { eraseSpool } from '../../../agent/spool/folder.ts';
import { toLenscapError } from '../../../proto/errors.ts';

const [stateDir = ''] = process.argv.slice(2);
try {
  eraseSpool(stateDir);
} catch (error) {
  process.stdout.write(`failed ${toLenscapError(error).code}\n`);
  process.exitCode = 1;
}
