// A board of a test: a folder with a configuration, and the real agent on it.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { loadIdentity } from '../../../agent/identity/identity.ts';
import { folderOf } from '../../e2e/folder.ts';
import { AGENT, ENV, finished, node, type Options, Running } from '../../e2e/processes.ts';

export class Board {
  readonly dir: string;
  readonly identityPath: string;
  readonly stateDir: string;
  readonly #t: Test;
  readonly #config: string;

  constructor(t: Test, over: object = {}) {
    this.#t = t;
    this.dir = folderOf(t);
    this.identityPath = join(this.dir, 'identity', 'identity.json');
    this.stateDir = join(this.dir, 'state');
    this.#config = join(this.dir, 'agent.json');
    mkdirSync(join(this.dir, 'identity'));
    const config = {
      identity: 'identity/identity.json',
      stateDir: 'state',
      source: { type: 'test' },
      video: { width: 160, height: 120, frameRate: 10, keyframeIntervalMs: 500 },
      segment: { durationMs: 1000 },
      claim: { lens: false, folders: [] },
      uplink: { backoffMinMs: 50, backoffMaxMs: 200, drainTimeoutMs: 2000 },
      log: { level: 'debug' },
      ...over,
    };
    writeFileSync(this.#config, JSON.stringify(config));
  }

  /** Makes it as claimed as the board that this identity is of; quicker than a claim. */
  give(identity: Uint8Array): void {
    mkdirSync(this.stateDir, { recursive: true, mode: 0o700 });
    writeFileSync(this.identityPath, identity, { mode: 0o600 });
  }

  /** The agent, running. */
  run(options: Options = {}): Running {
    return new Running(this.#t, node(AGENT, 'run', '--config', this.#config), options);
  }

  /** One command of the agent, under another one such as strace. */
  command(
    args: readonly string[],
    under: readonly string[] = [],
    env: NodeJS.ProcessEnv = ENV,
  ): Promise<{ code: number; out: string; err: string }> {
    const command = node(AGENT, ...args, '--config', this.#config);
    return finished([...under, ...command], env);
  }

  claim(code: string, under: readonly string[] = [], env?: NodeJS.ProcessEnv) {
    return this.command(['claim', code], under, env);
  }

  reset(under: readonly string[] = [], env?: NodeJS.ProcessEnv) {
    return this.command(['reset', '--yes'], under, env);
  }

  get deviceId(): string | undefined {
    return this.hasIdentity ? loadIdentity(this.identityPath).deviceId : undefined;
  }

  get hasIdentity(): boolean {
    return existsSync(this.identityPath);
  }

  /** The bundle as it lies there, unchecked. */
  get bundle(): { certificate: string; privateKey: string; previous: unknown } {
    return JSON.parse(readFileSync(this.identityPath, 'utf8'));
  }

  /** Files in the folders of the state and of the identity, but for the empty locks. */
  files(): string[] {
    const of = (dir: string) => (existsSync(dir) ? readdirSync(dir) : []);
    return [...of(this.stateDir), ...of(join(this.dir, 'identity'))]
      .filter((name) => name !== 'lock' && name !== 'identity.lock')
      .toSorted();
  }
}
