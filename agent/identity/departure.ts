// The end of an ownership on the board, by the owner's release or by a reset. INVARIANT: it is noted on
// disk first, and the note goes last; so a departure that was begun is brought to its end by whoever
// runs next, and in between nothing is captured. Erasing needs no room on the disk.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type LenscapError, toLenscapError } from '../../proto/errors.ts';
import { encodeReleased, type ReleaseCause } from '../../proto/release.ts';
import { cleanAfter, makeMark, removeFile } from '../durable-file.ts';
import { type DeviceSessionDeps, openDeviceSession } from '../uplink/device-session.ts';
import { findIdentity, type Identity } from './identity.ts';
import { forgetPendingKeys } from './pending-key.ts';
import { eraseOwnership } from './state-files.ts';

/** How long the server is tried to be told. */
const TELL_MS = 5000;
const MARKS = { reset: 'resetting', ordered: 'releasing' } as const;

/** Notes that the ownership ends. @throws STORE_FULL, STORE_FAILED. */
export function markDeparture(stateDir: string, cause: ReleaseCause): void {
  makeMark(join(stateDir, MARKS[cause]));
}

/** Why the ownership ends, or null when it does not. */
export function departureOf(stateDir: string): ReleaseCause | null {
  if (existsSync(join(stateDir, MARKS.reset))) return 'reset';
  return existsSync(join(stateDir, MARKS.ordered)) ? 'ordered' : null;
}

export interface DepartureDeps {
  readonly identityPath: string;
  readonly stateDir: string;
  readonly line: Pick<DeviceSessionDeps, 'instanceId' | 'keepaliveS' | 'time'>;
  readonly log: Logger;
}

/**
 * Erases everything of the owner, tells the server within 5 s if it can be reached, and erases the
 * identity. Whatever captured before has ended already.
 * @throws STORE_FAILED, the reason of `signal`; then it goes on at the next start.
 */
export async function depart(
  deps: DepartureDeps,
  cause: ReleaseCause,
  signal: AbortSignal,
): Promise<'told' | 'untold'> {
  const { identityPath, stateDir, log } = deps;
  log.info({ cause }, 'everything of the owner is being erased');
  eraseOwnership(stateDir);
  const identity = usableIdentity(identityPath);
  const isTold = identity !== null && (await tell(deps, identity, cause, signal));
  // Who is stopped before the server knows tells it at the next start: the note is still there.
  if (!isTold) signal.throwIfAborted();
  removeFile(identityPath);
  cleanAfter(identityPath);
  forgetPendingKeys(identityPath);
  removeFile(join(stateDir, MARKS.ordered));
  removeFile(join(stateDir, MARKS.reset));
  log.info({ cause, isTold }, 'the board belongs to nobody');
  return isTold ? 'told' : 'untold';
}

/** A damaged identity cannot tell anybody; it is erased all the same. */
function usableIdentity(path: string): Identity | null {
  try {
    return findIdentity(path);
  } catch {
    return null;
  }
}

/** With the pair before a renewal too, since only one of them may be accepted. */
async function tell(
  deps: DepartureDeps,
  identity: Identity,
  cause: ReleaseCause,
  signal: AbortSignal,
): Promise<boolean> {
  const end = AbortSignal.any([signal, AbortSignal.timeout(TELL_MS)]);
  for (const pair of [identity, ...(identity.previous === null ? [] : [identity.previous])]) {
    const error = await tellAs(deps, { ...identity, ...pair }, cause, end);
    if (error === null) return true;
    const { code, detail } = error;
    deps.log.warn({ code, cause }, `the server could not be told: ${detail}`);
    // A certificate that was replaced would tell of a second board.
    if (code !== 'IDENTITY_REFUSED') return false;
  }
  return false;
}

async function tellAs(
  { line }: DepartureDeps,
  identity: Identity,
  cause: ReleaseCause,
  end: AbortSignal,
): Promise<LenscapError | null> {
  try {
    const session = await openDeviceSession(
      { ...line, identity, connectTimeoutMs: TELL_MS, ackTimeoutMs: TELL_MS },
      end,
    );
    const onEnd = () => session.drop(new Error(`no acknowledgement within ${TELL_MS} ms`));
    end.addEventListener('abort', onEnd, { once: true });
    try {
      await session.publish('released', encodeReleased(cause));
    } finally {
      end.removeEventListener('abort', onEnd);
      await session.close();
    }
    return null;
  } catch (error) {
    return toLenscapError(error, 'UPLINK_LOST');
  }
}
