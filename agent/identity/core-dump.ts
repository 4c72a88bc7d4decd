// Keeps the memory of this process, and with it the keys, out of core dumps. Node cannot set a limit
// of resources, but the kernel lets a process choose what of its memory a dump holds [core(5)].
import { writeFileSync } from 'node:fs';

const FILTER = '/proc/self/coredump_filter';

/** Children inherit it. Where the kernel has no such file, the limits of the service have to do. */
export function keepOutOfCoreDumps(): boolean {
  try {
    writeFileSync(FILTER, '0');
    return true;
  } catch {
    return false;
  }
}
