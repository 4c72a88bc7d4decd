// All that a server knows of a device: a look at every row of its index, at every file, at its log.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import type { Index } from '../../../broker/store/schema.ts';

/** Every column of the index that says something of this device, as `table.column`. */
export async function knownOf(index: Index, deviceId: string): Promise<string[]> {
  const tables = await sql<{ name: string }>`select name from sqlite_master
    where type = 'table' and name not like 'sqlite_%'`.execute(index);
  const known = new Set<string>();
  for (const { name } of tables.rows) {
    const found = await sql<Record<string, unknown>>`select * from ${sql.table(name)}`.execute(
      index,
    );
    for (const row of found.rows.filter((one) => Object.values(one).includes(deviceId)))
      for (const [column, value] of Object.entries(row))
        if (value !== null) known.add(`${name}.${column}`);
  }
  return [...known].sort();
}

/** Files of the server, its log included, in which one of these stands; by name. */
export function foundIn(folder: string, log: string, words: readonly string[]): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = paths.filter((path) => statSync(join(folder, path)).isFile());
  const texts = new Map(files.map((path) => [path, readFileSync(join(folder, path))]));
  texts.set('log', Buffer.from(log));
  return [...texts].flatMap(([path, bytes]) =>
    words.filter((word) => bytes.includes(word)).map((word) => `${path}: ${word}`),
  );
}

export const columns = (table: string, names: string): string[] =>
  names.split(' ').map((name) => `${table}.${name}`);

/** Of a device whose owner consents to nothing: who it is, its certificate, when it connected, and the record of that. */
export const IDENTITY = [
  ...columns('devices', 'device_id account_id name created_at_us epoch state state_at_us'),
  ...columns('devices', 'applied_epoch applied_at_us last_seen_at_us'),
  ...columns('certificates', 'serial device_id fingerprint key_sha256 pem issued_at_us'),
  ...columns('certificates', 'not_after_us used_at_us'),
  ...columns('ledger', 'device_id epoch record prev_hash hash signature'),
];
