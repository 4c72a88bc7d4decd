// A board as it comes from the factory: a configuration, and no identity until it is claimed.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import { checkIdentity, type IdentityBundle } from '../../proto/identity.ts';
import { type AgentOptions, startAgent, stateOf, writeConfig } from './agent.ts';
import { folderOf } from './folder.ts';
import type { House } from './house.ts';
import { AGENT, finished, node, type Running } from './processes.ts';

export interface Claim {
  readonly claimId: string;
  readonly code: string;
}

export interface ClaimState {
  readonly claimId: string;
  readonly state: string;
  readonly failures: number;
  readonly lastFailure: string | null;
  readonly deviceId: string | null;
}

export class Board {
  readonly #t: Test;
  readonly #options: AgentOptions;
  /** Of the identity, which is not there at first. */
  readonly file: string;

  constructor(t: Test, name: string, options: AgentOptions = {}) {
    this.#t = t;
    this.#options = { audio: 'none', ...options };
    this.file = join(folderOf(t), `${name}.identity.json`);
  }

  get stateDir(): string {
    return stateOf(this);
  }

  /** The identity, once there is one. */
  get identity(): IdentityBundle | undefined {
    if (!existsSync(this.file)) return undefined;
    return checkIdentity(JSON.parse(readFileSync(this.file, 'utf8')), this.file);
  }

  /** Its id. @throws Error before it is claimed. */
  get id(): string {
    const { identity } = this;
    if (identity === undefined) throw new Error('the board has no identity');
    return identity.deviceId;
  }

  /** What it keeps of an ownership: all but its configuration, and what marks a running agent. */
  get files(): string[] {
    const folder = dirname(this.file);
    const own = readdirSync(folder).filter((name) => !/\.(agent\.json|state)$/.test(name));
    const state = existsSync(this.stateDir) ? readdirSync(this.stateDir) : [];
    return [
      ...own,
      ...state.filter((name) => !/^(lock|identity\.lock|instance)$/.test(name)),
    ].sort();
  }

  /** `lenscap-agent claim CODE`, the real program. */
  claim(
    code: string,
    env?: NodeJS.ProcessEnv,
  ): Promise<{ code: number; out: string; err: string }> {
    const config = writeConfig(this, this.#options);
    return finished(node(AGENT, 'claim', code, '--config', config), env);
  }

  /** `lenscap-agent reset`, the real program. */
  reset(): Promise<{ code: number; out: string; err: string }> {
    const config = writeConfig(this, this.#options);
    return finished(node(AGENT, 'reset', '--yes', '--config', config));
  }

  run(options: AgentOptions = {}): Running {
    return startAgent(this.#t, this, { ...this.#options, ...options });
  }
}

/** The owner makes a setup code. */
export function newClaim(house: House, name: string, deviceId?: string): Promise<Claim> {
  return house.ask('POST', '/api/claims', deviceId === undefined ? { name } : { name, deviceId });
}

/** What the owner sees of a setup code. */
export async function claimState(house: House, claimId: string): Promise<ClaimState> {
  const { claims } = await house.ask<{ claims: ClaimState[] }>('GET', '/api/claims');
  const claim = claims.find((one) => one.claimId === claimId);
  if (claim === undefined) throw new Error(`the owner sees no claim ${claimId}`);
  return claim;
}
