// Writes a grant file as the agent does: write-grant.ts STATE_DIR FILE. Run under strace by a test.
import { readFileSync } from 'node:fs';
import { decodeGrantFile, writeGrantFile } from '../../../agent/consent/grant-file.ts';
import { toLenscapError } from '../../../proto/errors.ts';

const [stateDir = '', file = ''] = process.argv.slice(2);
try {
  writeGrantFile(stateDir, decodeGrantFile(readFileSync(file)));
} catch (error) {
  process.stdout.write(`${toLenscapError(error).code}\n`);
  process.exitCode = 1;
}
