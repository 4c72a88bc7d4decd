// Rows of the labels that the operator gives devices.
import { sql } from 'kysely';
import type { Index } from './schema.ts';

export type Labels = Readonly<Record<string, string>>;

export class LabelRows {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  async of(deviceId: string): Promise<Labels> {
    const rows = await this.#index
      .selectFrom('device_labels')
      .select(['key', 'value'])
      .where('device_id', '=', deviceId)
      .orderBy('key')
      .execute();
    return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
  }

  async set(deviceId: string, key: string, value: string): Promise<void> {
    await this.#index
      .insertInto('device_labels')
      .values({ device_id: deviceId, key, value })
      .onConflict((conflict) => conflict.columns(['device_id', 'key']).doUpdateSet({ value }))
      .execute();
  }

  async remove(deviceId: string, key: string): Promise<void> {
    await this.#index
      .deleteFrom('device_labels')
      .where('device_id', '=', deviceId)
      .where('key', '=', key)
      .execute();
  }

  async erase(deviceId: string): Promise<void> {
    await this.#index.deleteFrom('device_labels').where('device_id', '=', deviceId).execute();
  }

  /** Devices in one of these states that bear every label, by id. No label: all of them. */
  async matching(selector: Labels, states: readonly string[]): Promise<string[]> {
    let query = this.#index
      .selectFrom('devices')
      .select('device_id')
      .where('state', 'in', states)
      .orderBy('device_id');
    for (const [key, value] of Object.entries(selector))
      query = query.where(
        sql<boolean>`exists (select 1 from device_labels where key = ${key} and value = ${value}
          and device_labels.device_id = devices.device_id)`,
      );
    return (await query.execute()).map(({ device_id }) => device_id);
  }
}
