// Permits, which the gate gives and takes back. Pure but for the signal that a permit carries.
import type { GrantedSince } from '../../proto/scopes.ts';

/** Leave to capture pictures, and sound when `audio`. Ends when `revoked` is aborted. */
export interface Permit {
  /** Epoch in force when it was given; what is captured bears it. */
  readonly epoch: number;
  readonly audio: boolean;
  /** Aborted synchronously, before anything else is done about a withdrawal. */
  readonly revoked: AbortSignal;
}

/** A permit that was given, with what it rests on. */
export interface Issued {
  readonly permit: Permit;
  readonly controller: AbortController;
  readonly videoSince: number;
  readonly audioSince: number | undefined;
}

/** A permit for what is granted; null when pictures are not. */
export function issue(epoch: number, since: GrantedSince): Issued | null {
  const videoSince = since.get('video');
  if (videoSince === undefined) return null;
  const audioSince = since.get('audio');
  const controller = new AbortController();
  const permit = { epoch, audio: audioSince !== undefined, revoked: controller.signal };
  return { permit, controller, videoSince, audioSince };
}

/** Whether all that a permit allows is still granted, without interruption. */
export function isCovered(
  { permit, videoSince, audioSince }: Issued,
  since: GrantedSince,
): boolean {
  return since.get('video') === videoSince && (!permit.audio || since.get('audio') === audioSince);
}

/** Whether a permit allows just what is granted. */
export function isCurrent(permit: Permit | null, since: GrantedSince): boolean {
  if (permit === null) return !since.has('video');
  return since.has('video') && permit.audio === since.has('audio');
}
