// What the system still holds of what was sent: on a slow line that is megabytes, and minutes, after
// the last byte left this process. Read from the tables of the kernel; where there are none, unknown.
import { readFile } from 'node:fs/promises';

const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];
const ROW = /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]{2} ([0-9A-F]{8}):/;

/** Bytes that the far end has not confirmed, of the connection between these ports; null if unknown. */
export async function queuedBytes(localPort: number, remotePort: number): Promise<number | null> {
  for (const table of TABLES) {
    const text = await readFile(table, 'utf8').catch(() => '');
    const queued = queuedIn(text, localPort, remotePort);
    if (queued !== null) return queued;
  }
  return null;
}

/** The same in the text of one table. */
export function queuedIn(table: string, localPort: number, remotePort: number): number | null {
  for (const line of table.split('\n')) {
    const [, local, remote, queued] = ROW.exec(line) ?? [];
    if (local === undefined || remote === undefined || queued === undefined) continue;
    if (Number.parseInt(local, 16) === localPort && Number.parseInt(remote, 16) === remotePort)
      return Number.parseInt(queued, 16);
  }
  return null;
}
