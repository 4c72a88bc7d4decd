// What people do with the identity from a command line, whether the agent runs or not. Where it runs,
// it does what concerns its own parts; the commands and it agree by locks and by what is on disk.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { AgentConfig } from '../../proto/agent-config.ts';
import { toLenscapError } from '../../proto/errors.ts';
import { decodeSetupCode } from '../../proto/setup-code.ts';
import type { KnownTime } from '../clock.ts';
import { openDeviceSession } from '../uplink/device-session.ts';
import { depart, departureOf, markDeparture } from './departure.ts';
import { exchange } from './exchange.ts';
import type { Identity } from './identity.ts';
import { tryRunLock, withIdentityLock } from './lock.ts';
import { makeStateDir, publishedInstance } from './state-files.ts';

const LOOK_MS = 100;

export interface CommandDeps {
  readonly config: AgentConfig;
  readonly time: Pick<KnownTime, 'isWallCredible'>;
  readonly log: Logger;
  /** Tells people how it goes. */
  readonly say: (line: string) => void;
}

/**
 * Claims this board, or admits it again, by a setup code.
 * @throws CODE_INVALID, and what the exchange throws.
 */
export async function claimBoard(
  deps: CommandDeps,
  text: string,
  signal: AbortSignal,
): Promise<void> {
  const { config, time, say } = deps;
  const code = decodeSetupCode(text);
  say(`asking ${code.host}:${code.port} for an identity`);
  makeStateDir(config.stateDir);
  const outcome = await exchange(
    {
      identityPath: config.identity,
      stateDir: config.stateDir,
      time,
      mayReadmit: true,
      onStep: say,
      onSaved: (identity) => confirm(deps, identity, signal),
    },
    { kind: 'code', code },
    signal,
  );
  if (outcome.kind === 'issued') say(`this camera is ${outcome.identity.deviceId}`);
}

/** Uses the identity once; if that fails, the agent does it as soon as it can connect. */
async function confirm(
  { config, time, say }: CommandDeps,
  identity: Identity,
  signal: AbortSignal,
): Promise<void> {
  const { connectTimeoutMs, ackTimeoutMs, keepaliveS } = config.uplink;
  // The server has to take it and an agent that runs here for one board.
  const instanceId = publishedInstance(config.stateDir) ?? randomBytes(16).toString('hex');
  const limits = { connectTimeoutMs, ackTimeoutMs, keepaliveS };
  try {
    const session = await openDeviceSession({ identity, instanceId, time, ...limits }, signal);
    await session.close();
    say('connected with it');
  } catch (error) {
    say(`not connected with it yet: ${toLenscapError(error).message}; the agent goes on trying`);
  }
}

/**
 * Makes the board forget its owner. Resolves when nothing is left.
 * @throws STORE_FULL, STORE_FAILED, the reason of `signal`; what was begun is ended by the next run.
 */
export async function resetBoard(deps: CommandDeps, signal: AbortSignal): Promise<void> {
  const { config, time, log, say } = deps;
  const { stateDir, identity: identityPath } = config;
  makeStateDir(stateDir);
  markDeparture(stateDir, 'reset');
  say('forgetting the owner');
  while (departureOf(stateDir) !== null) {
    const lock = tryRunLock(stateDir);
    if (lock === null) {
      // The agent that runs has seen the mark, or is about to.
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
      signal.throwIfAborted();
      continue;
    }
    try {
      const instanceId = randomBytes(16).toString('hex');
      const line = { instanceId, keepaliveS: config.uplink.keepaliveS, time };
      const outcome = await withIdentityLock(stateDir, signal, () =>
        depart({ identityPath, stateDir, line, log }, 'reset', signal),
      );
      say(outcome === 'told' ? 'the server knows' : 'the server does not know of it');
    } finally {
      lock.release();
    }
  }
  say('this board belongs to nobody');
}
