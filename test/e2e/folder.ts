// A folder for what processes of a test write. That of tap is removed before the teardown in which they
// are ended; this one after it, if it was made before they were started.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** A folder of a test, removed after it. */
export function folderOf(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'lenscap-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}
