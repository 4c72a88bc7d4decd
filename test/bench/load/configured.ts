// A simulated device that is told configurations and says what became of them, as it is meant to behave.
import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  type DesiredConfig,
  encodeReported,
  type Reported,
  verifyDesiredConfig,
} from '../../../proto/desired-config.ts';
import { parseTopic, upTopic } from '../../../proto/topics.ts';
import type { Behaviour, ConfigAnswer } from './fleet-messages.ts';
import type { Link } from './link.ts';

export interface ConfiguredDeps {
  readonly deviceId: string;
  readonly epoch: number;
  readonly behaviour: Behaviour;
  /** PEM. */
  readonly consentKey: string;
  /** In whose name an impostor speaks. */
  readonly victim: string;
  readonly onAnswer: (answer: ConfigAnswer) => void;
}

export class Configured {
  readonly #deps: ConfiguredDeps;
  readonly #key: KeyObject;
  #link: Link | undefined;
  #version = 0;

  constructor(deps: ConfiguredDeps) {
    this.#deps = deps;
    this.#key = createPublicKey(deps.consentKey);
  }

  use(link: Link): void {
    this.#link = link;
  }

  pause(): void {
    this.#link = undefined;
  }

  receive(topic: string, payload: Buffer): void {
    const { deviceId } = this.#deps;
    if (parseTopic(topic)?.noun !== 'config') return;
    const wanted = verifyDesiredConfig(payload, this.#key, deviceId);
    if (wanted.version <= this.#version) return;
    this.#version = wanted.version;
    this.#answer(wanted).catch(() => undefined);
  }

  async #answer(wanted: DesiredConfig): Promise<void> {
    const { behaviour, deviceId, victim, onAnswer } = this.#deps;
    if (behaviour === 'silent') return;
    if (behaviour === 'impostor') return this.#say(victim, wanted, 'applied');
    await this.#say(deviceId, wanted, 'accepted');
    const state = behaviour === 'revert' ? 'reverted' : 'applied';
    onAnswer({ atMs: Date.now(), deviceId, version: wanted.version });
    await this.#say(deviceId, wanted, state);
  }

  async #say(
    deviceId: string,
    { version, document }: DesiredConfig,
    state: Reported['state'],
  ): Promise<void> {
    const isReverted = state === 'reverted';
    const reported: Reported = {
      ...{ epoch: this.#deps.epoch, version, state, atUs: Date.now() * 1000 },
      inForce: isReverted ? 0 : version,
      code: isReverted ? 'CONFIG_UNHEALTHY' : null,
      detail: isReverted ? 'no pictures came' : '',
      faults: [],
      settings: isReverted ? '{}' : document,
    };
    await this.#link?.publish(upTopic(deviceId, 'reported'), encodeReported(reported));
  }
}
