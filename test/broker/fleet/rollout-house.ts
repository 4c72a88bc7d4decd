// A fleet of a real installation whose devices answer as a test says, and the engine that carries its
// rollouts out, only without the wire.

import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { defaultPolicyBytes } from '../../../broker/consent/policy.ts';
import { enrol } from '../../../broker/fleet/enrolment.ts';
import { RolloutEngine, type RolloutEngineDeps } from '../../../broker/fleet/rollout-engine.ts';
import type { RolloutDeviceRow } from '../../../broker/store/rollout-rows.ts';
import type { Reported } from '../../../proto/desired-config.ts';
import type { JsonObject } from '../../../proto/device-config.ts';
import type { Scope } from '../../../proto/scopes.ts';
import { eventually } from '../../e2e/processes.ts';
import { reportedOf } from '../../proto/tellings.ts';
import { by, type FleetHouse, fleetHouse, type Testdir } from './house.ts';

const LOOK_MS = 5;
const server = { host: 'localhost', port: 1 };

export class RolloutHouse {
  readonly house: FleetHouse;
  /** Devices that were to be told of a new version, each time. */
  readonly told: string[] = [];
  /** What the engine logged as errors. */
  readonly errors: string[] = [];
  #engine: RolloutEngine | undefined;
  #started = 0;

  private constructor(house: FleetHouse) {
    this.house = house;
  }

  static async open(t: Testdir): Promise<RolloutHouse> {
    return new RolloutHouse(await fleetHouse(t));
  }

  /** Devices of one owner, in the order of their ids, who consents to this of each. */
  async devices(count: number, ...scopes: readonly Scope[]): Promise<string[]> {
    const { house } = this;
    const ids: string[] = [];
    for (let i = 0; i < count; i++) {
      const request = { accountId: house.accountId, name: `camera ${i}`, server };
      ids.push((await enrol(house, request)).deviceId);
    }
    for (const deviceId of ids) if (scopes.length > 0) await this.grant(deviceId, ...scopes);
    return ids.sort();
  }

  async grant(deviceId: string, ...scopes: readonly Scope[]): Promise<void> {
    const { consent } = this.house;
    const { sha256 } = await consent.policy();
    await consent.grant(await this.house.device(deviceId), scopes, sha256, by);
  }

  /** Publishes a policy whose device information is these parts. */
  async publish(version: number, change: (parts: string[]) => string[]): Promise<void> {
    const policy: { scopes: { device_info: { fields: string[] } } } = JSON.parse(
      defaultPolicyBytes(),
    );
    const info = policy.scopes.device_info;
    const scopes = { ...policy.scopes, device_info: { ...info, fields: change(info.fields) } };
    await this.house.consent.publish(JSON.stringify({ ...policy, version, scopes }), by);
  }

  /** Begins one for these devices alone. Returns its number. */
  async start(deviceIds: readonly string[], patch: JsonObject, stages = '100%'): Promise<number> {
    const { rollouts } = this.house;
    const label = `rollout-${++this.#started}=1`;
    for (const deviceId of deviceIds) await rollouts.label(deviceId, [label]);
    const limits = { stages, stopPercent: 100, waitS: 60, settleS: 0 };
    return rollouts.start({ ...limits, labels: [label], patch, actor: 'test' });
  }

  /** Carries rollouts out until the returned function is called. */
  run(over: Partial<RolloutEngineDeps> = {}): () => Promise<void> {
    const engine = new RolloutEngine({
      ...this.house,
      changed: (deviceId) => this.told.push(deviceId),
      log: {
        info: () => undefined,
        error: (about, message) => this.errors.push(`${message}: ${inspect(about)}`),
      },
      wait: (_ms, signal) => sleep(LOOK_MS, undefined, { signal }).catch(() => undefined),
      ...over,
    });
    this.#engine = engine;
    const end = new AbortController();
    const running = engine.run(end.signal);
    return async () => {
      end.abort();
      await running;
    };
  }

  /** The device says what became of its configuration; it is stored, and the engine is told. */
  async answer(deviceId: string, over: Partial<Reported>): Promise<string> {
    const { consent, store, nowUs } = this.house;
    const { epoch: asOf } = await consent.infoInForce(deviceId);
    const telling = { noun: 'reported', message: reportedOf(asOf, over) } as const;
    const at = { asOf, nowUs: nowUs() };
    const noted = await store.told.note(await this.house.device(deviceId), telling, at);
    this.reported(deviceId);
    return noted;
  }

  reported(deviceId: string): void {
    this.#engine?.reported(deviceId);
  }

  async of(id: number, deviceId: string): Promise<RolloutDeviceRow | undefined> {
    const { devices } = await this.house.rollouts.show(id);
    return devices.find(({ device_id }) => device_id === deviceId);
  }

  /** How many devices are in which state. */
  async counts(id: number): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { state } of (await this.house.rollouts.show(id)).devices)
      counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }

  async becomes(id: number, deviceId: string, state: string): Promise<void> {
    await eventually(
      `${deviceId} ${state} in rollout ${id}`,
      async () => (await this.of(id, deviceId))?.state === state,
      10_000,
      () => this.errors.slice(-3).join('\n'),
    );
  }

  async ends(id: number, state = 'done'): Promise<void> {
    await eventually(
      `rollout ${id} ${state}`,
      async () => (await this.house.rollouts.show(id)).row.state === state,
      10_000,
      () => this.errors.slice(-3).join('\n'),
    );
  }
}
