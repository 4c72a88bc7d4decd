// What people see of the configuration on a board, whether the agent runs or not. INVARIANT: nothing is
// changed, no lock is taken, and nothing of the hardware or of its passwords is printed.
import type { AgentConfig } from '../../proto/agent-config.ts';
import { differences, isObject, pushableOf } from '../../proto/device-config.ts';
import { faultLines } from '../../proto/validate.ts';
import { type Desired, inForceOf, NOTHING_DESIRED, standingOf } from './desired.ts';
import { readDesiredFile } from './desired-file.ts';
import { merged } from './merged.ts';

type Say = (line: string) => void;

/**
 * Prints the version, what became of it, and each setting in force.
 * @throws CONFIG_INVALID when what was saved is damaged, STORE_FAILED.
 */
export function showConfiguration(board: AgentConfig, asJson: boolean, say: Say): void {
  const desired = readDesiredFile(board.stateDir) ?? NOTHING_DESIRED;
  const { version, document } = inForceOf(desired);
  const settings = pushableOf(merged(board, document).config ?? board);
  const standing = standingOf(desired);
  if (asJson) {
    say(JSON.stringify({ newest: standing, inForce: version, document, settings }));
    return;
  }
  say(standingLine(desired));
  if (standing !== null && 'faults' in standing && standing.faults.length > 0)
    say(faultLines(standing.faults));
  say(`in force: ${version === 0 ? "the board's own" : `version ${version}`}`);
  for (const line of settingLines(settings)) say(line);
}

function standingLine(desired: Desired): string {
  const standing = standingOf(desired);
  if (standing === null) return 'nothing was pushed';
  const { version, state } = standing;
  const why = 'detail' in standing ? ` ${standing.code} ${standing.detail}` : '';
  const isTried = desired.trial?.version === version;
  return `version ${version}: ${isTried ? 'being tried' : state}${why}`.trimEnd();
}

/** Each with its path; texts from outside as JSON, which holds no control characters. */
function settingLines(settings: unknown): string[] {
  if (!isObject(settings)) return [];
  return differences(settings, {}).map(
    ({ path, desired }) => `  ${path}: ${JSON.stringify(desired)}`,
  );
}
