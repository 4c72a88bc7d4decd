// Looks across the tables, for lists and figures. Reads only.
import { sql } from 'kysely';
import type { Index, Tables } from './schema.ts';

/** Remaining life of a device's certificate; the last one has no end. */
export const REMAINING = ['expired', '0-7', '7-30', '30-60', '60-'] as const;
export type Remaining = (typeof REMAINING)[number];

/** How much there is of what, by plain labels: nothing here names an owner or a device. */
export interface Census {
  readonly devices: ReadonlyMap<string, number>;
  readonly boards: ReadonlyMap<string, number>;
  /** Setup codes that a board may still use. */
  readonly openClaims: number;
  /** Devices that may connect, by the days that their certificate has left. */
  readonly certificates: ReadonlyMap<Remaining, number>;
  readonly segments: number;
  readonly bytes: number;
}

/** Every row of the fleet, to be held against the others. */
export interface FleetRows {
  readonly accounts: ReadonlySet<string>;
  readonly devices: readonly Tables['devices'][];
  readonly certificates: readonly Tables['certificates'][];
  readonly claims: readonly Tables['claims'][];
  readonly boards: readonly Tables['boards'][];
}

const DAY_US = 86_400e6;

export class Overview {
  readonly #index: Index;

  constructor(index: Index) {
    this.#index = index;
  }

  /** When the last certificate of each device ends that is not revoked; absent = it has none. */
  async certificateEnds(deviceId?: string): Promise<Map<string, number>> {
    const rows = await this.#index
      .selectFrom('certificates')
      .select(['device_id', (eb) => eb.fn.max<number>('not_after_us').as('end')])
      .where('revoked_at_us', 'is', null)
      .$if(deviceId !== undefined, (query) => query.where('device_id', '=', deviceId ?? ''))
      .groupBy('device_id')
      .execute();
    return new Map(rows.map(({ device_id, end }) => [device_id, end]));
  }

  /** The version of the configuration that is wanted of each device; absent = none. */
  async wantedVersions(): Promise<Map<string, number>> {
    const rows = await this.#index
      .selectFrom('config_versions')
      .select(['device_id', (eb) => eb.fn.max<number>('version').as('version')])
      .groupBy('device_id')
      .execute();
    return new Map(rows.map(({ device_id, version }) => [device_id, version]));
  }

  /** @param failures Wrong proofs after which a setup code is void. */
  async census(nowUs: number, failures: number): Promise<Census> {
    const totals = await this.#index
      .selectFrom('totals')
      .select((eb) => [
        eb.fn.coalesce(eb.fn.sum<number>('segments'), sql<number>`0`).as('segments'),
        eb.fn.coalesce(eb.fn.sum<number>('bytes'), sql<number>`0`).as('bytes'),
      ])
      .executeTakeFirstOrThrow();
    return {
      devices: await this.#byState('devices'),
      boards: await this.#byState('boards'),
      openClaims: await this.#openClaims(nowUs, failures),
      certificates: await this.#remaining(nowUs),
      ...totals,
    };
  }

  /** As it stands at one moment, also while a server changes it. */
  fleet(): Promise<FleetRows> {
    return this.#index.transaction().execute(async (trx) => {
      const accounts = await trx.selectFrom('accounts').select('account_id').execute();
      return {
        accounts: new Set(accounts.map(({ account_id }) => account_id)),
        devices: await trx.selectFrom('devices').selectAll().execute(),
        certificates: await trx.selectFrom('certificates').selectAll().execute(),
        claims: await trx.selectFrom('claims').selectAll().execute(),
        boards: await trx.selectFrom('boards').selectAll().execute(),
      };
    });
  }

  async #byState(table: 'devices' | 'boards'): Promise<Map<string, number>> {
    const rows = await this.#index
      .selectFrom(table)
      .select(['state', (eb) => eb.fn.countAll<number>().as('count')])
      .groupBy('state')
      .execute();
    return new Map(rows.map(({ state, count }) => [state, count]));
  }

  async #openClaims(nowUs: number, failures: number): Promise<number> {
    const { count } = await this.#index
      .selectFrom('claims')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('used_at_us', 'is', null)
      .where('cancelled_at_us', 'is', null)
      .where('key_sha256', 'is', null)
      .where('expires_at_us', '>', nowUs)
      .where('failures', '<', failures)
      .executeTakeFirstOrThrow();
    return count;
  }

  async #remaining(nowUs: number): Promise<Map<Remaining, number>> {
    const rows = await this.#index
      .selectFrom('certificates')
      .innerJoin('devices', 'devices.device_id', 'certificates.device_id')
      .select((eb) => eb.fn.max<number>('not_after_us').as('end'))
      .where('revoked_at_us', 'is', null)
      .where('devices.state', 'not in', ['released', 'revoked'])
      .groupBy('certificates.device_id')
      .execute();
    const counts = new Map<Remaining, number>(REMAINING.map((remaining) => [remaining, 0]));
    for (const { end } of rows) {
      const remaining = remainingOf(end - nowUs);
      counts.set(remaining, (counts.get(remaining) ?? 0) + 1);
    }
    return counts;
  }
}

function remainingOf(us: number): Remaining {
  if (us <= 0) return 'expired';
  const days = us / DAY_US;
  if (days < 7) return '0-7';
  if (days < 30) return '7-30';
  return days < 60 ? '30-60' : '60-';
}
