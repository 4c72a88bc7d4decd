// Waits for the hardware no longer than it is worth.
import { setTimeout as sleep } from 'node:timers/promises';

/** What `work` comes to, or null when it takes longer; then it goes on, and nobody waits for it. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T | null> {
  const over = new AbortController();
  const late = sleep(ms, null, { signal: over.signal }).catch(() => null);
  // A failure after its time must not end the process.
  work.catch(() => undefined);
  return Promise.race([work, late]).finally(() => over.abort());
}
