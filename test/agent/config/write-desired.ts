// Saves a state of the pushed configurations as the agent does: write-desired.ts STATE_DIR FILE. Run
// under strace by a test.
import { readFileSync } from 'node:fs';
import { decodeDesiredFile, writeDesiredFile } from '../../../agent/config/desired-file.ts';
import { toLenscapError } from '../../../proto/errors.ts';

const [stateDir = '', file = ''] = process.argv.slice(2);
try {
  writeDesiredFile(stateDir, decodeDesiredFile(readFileSync(file)));
} catch (error) {
  process.stdout.write(`${toLenscapError(error).code}\n`);
  process.exitCode = 1;
}
