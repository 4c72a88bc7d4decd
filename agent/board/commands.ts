// What a command does to the board while no agent runs on it.
import type { AgentConfig } from '../../proto/agent-config.ts';
import { LenscapError } from '../../proto/errors.ts';
import { tryRunLock } from '../identity/lock.ts';
import { makeStateDir } from '../identity/state-files.ts';
import { lampOf } from './light.ts';
import { within } from './within.ts';

const PATIENCE_MS = 5000;

/**
 * Turns the indicator light off after an agent that could not do so any more: a light of the kernel stays
 * as it was. While an agent runs the light is its own, and tells the truth.
 * @throws STORE_LOCKED when one runs, LIGHT_FAILED, STORE_FAILED.
 */
export async function lightOff(
  { stateDir, board }: Pick<AgentConfig, 'stateDir' | 'board'>,
  say: (line: string) => void,
): Promise<void> {
  const lamp = lampOf(board.light);
  if (lamp === null) {
    say('this board has no indicator light');
    return;
  }
  makeStateDir(stateDir);
  const lock = tryRunLock(stateDir);
  if (lock === null)
    throw new LenscapError('STORE_LOCKED', `an agent runs on ${stateDir}: the light is its own`);
  try {
    if ((await within(PATIENCE_MS, lamp.shine(0))) === null)
      throw new LenscapError('LIGHT_FAILED', 'it does not answer');
    say('the indicator light is off');
  } finally {
    await within(PATIENCE_MS, lamp.close());
    lock.release();
  }
}
