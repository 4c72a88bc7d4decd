// Waits until something is so, and says so when it never is.
import { setTimeout as sleep } from 'node:timers/promises';

const DEADLINE_MS = 20_000;
const LOOK_MS = 20;

export async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + DEADLINE_MS;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error('it never came to be');
    await sleep(LOOK_MS);
  }
}
