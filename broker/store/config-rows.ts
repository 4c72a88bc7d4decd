// Rows of the desired configuration. Versions of a device only grow; documents are sealed by who
// writes them. INVARIANT: the latest version is never removed, so that no number is given twice.
import { Gathered } from './gathered.ts';
import type { Index, Tables } from './schema.ts';

export type VersionRow = Tables['config_versions'];

/** Of each device; older ones go. */
export const KEPT_VERSIONS = 200;

export class ConfigRows {
  readonly #index: Index;
  readonly #latest: Gathered<VersionRow>;

  constructor(index: Index) {
    this.#index = index;
    this.#latest = new Gathered((deviceIds) => readLatest(index, deviceIds));
  }

  /** The version that is wanted; undefined where nobody ever wanted any. */
  latest(deviceId: string): Promise<VersionRow | undefined> {
    return this.#latest.get(deviceId);
  }

  at(deviceId: string, version: number): Promise<VersionRow | undefined> {
    return this.#index
      .selectFrom('config_versions')
      .selectAll()
      .where('device_id', '=', deviceId)
      .where('version', '=', version)
      .executeTakeFirst();
  }

  /** The newest first; those below `before`. */
  history(deviceId: string, before: number, limit: number): Promise<VersionRow[]> {
    return this.#index
      .selectFrom('config_versions')
      .selectAll()
      .where('device_id', '=', deviceId)
      .where('version', '<', before)
      .orderBy('version', 'desc')
      .limit(limit)
      .execute();
  }

  /** Adds a version, and removes what is older than so many. */
  async add(row: VersionRow): Promise<void> {
    await this.#index.insertInto('config_versions').values(row).execute();
    if (row.version <= KEPT_VERSIONS) return;
    await this.#index
      .deleteFrom('config_versions')
      .where('device_id', '=', row.device_id)
      .where('version', '<=', row.version - KEPT_VERSIONS)
      .execute();
  }

  /** Removes every version of a device whose ownership has ended. */
  async erase(deviceId: string): Promise<void> {
    await this.#index.deleteFrom('config_versions').where('device_id', '=', deviceId).execute();
  }

  /** What its owner calls a device is said in one place, whichever way it is changed. */
  async rename(deviceId: string, name: string): Promise<void> {
    await this.#index
      .updateTable('devices')
      .set({ name })
      .where('device_id', '=', deviceId)
      .execute();
  }
}

async function readLatest(
  index: Index,
  deviceIds: readonly string[],
): Promise<Map<string, VersionRow>> {
  const rows = await index
    .selectFrom('config_versions')
    .selectAll()
    .where('device_id', 'in', deviceIds)
    .where('version', '=', (inner) =>
      inner
        .selectFrom('config_versions as newest')
        .select(({ fn }) => fn.max('newest.version').as('version'))
        .whereRef('newest.device_id', '=', 'config_versions.device_id'),
    )
    .execute();
  return new Map(rows.map((row) => [row.device_id, row]));
}
