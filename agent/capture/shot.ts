// One picture while nothing is captured: the source is opened for it alone.
// INVARIANT: when it is settled the child process is gone, and nothing else of it was handed over.
import { setTimeout as delay } from 'node:timers/promises';
import { LenscapError } from '../../proto/errors.ts';
import { Session } from './session.ts';
import type { Permit, SessionDeps } from './session-terms.ts';
import type { Still } from './stills.ts';

/** Cameras need some pictures to find their exposure. */
const EXPOSURE_MS = 1000;

const ignore = (): void => undefined;
const NOBODY = {
  roll: undefined,
  eyes: undefined,
  onQuiet: ignore,
  onStream: ignore,
  onSegment: ignore,
  onMissing: ignore,
};

export type ShotDeps = Omit<SessionDeps, keyof typeof NOBODY | 'onPictures'>;

/**
 * Ends at once when `signal` is aborted or the permit is revoked.
 * @throws CAPTURE_ENDED, CAPTURE_STALLED, or whatever the source failed by.
 */
export async function takeShot(
  deps: ShotDeps,
  permit: Pick<Permit, 'epoch' | 'revoked'>,
  signal: AbortSignal,
): Promise<Still> {
  const { promise: pictures, resolve: onPictures } = Promise.withResolvers<number>();
  const over = new AbortController();
  const either = AbortSignal.any([signal, permit.revoked, over.signal]);
  const session = new Session({ ...deps, ...NOBODY, onPictures }, { ...permit, audio: false });
  const run = session.run(either);
  const ended = run.then((end): never => {
    if (end.kind === 'failed') throw end.error;
    throw new LenscapError('CAPTURE_ENDED', 'before a picture was taken');
  });
  const expose = () => delay(EXPOSURE_MS, undefined, { signal: either });
  const taken = Promise.race([pictures.then(expose).then(() => session.still(either)), ended]);
  try {
    return await taken;
  } catch (error) {
    if (!either.aborted) throw error;
    throw new LenscapError('CAPTURE_ENDED', 'it was given up before a picture was taken');
  } finally {
    over.abort();
    await run;
  }
}
