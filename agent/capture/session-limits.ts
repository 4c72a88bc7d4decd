// How long a session waits for a sign of life, and what it says when it waited in vain. Pure.
import { LenscapError } from '../../proto/errors.ts';
import type { CaptureConfig } from './session-terms.ts';

/** A picture is late when it misses its time thrice, also with very few of them a second. */
export function stallMs({ capture, video }: Pick<CaptureConfig, 'capture' | 'video'>): number {
  return Math.max(capture.stallTimeoutMs, 3000 / video.frameRate + 500);
}

/** Longest wait for a keyframe. */
export function keyframeWaitMs({
  capture,
  video,
}: Pick<CaptureConfig, 'capture' | 'video'>): number {
  return Math.max(capture.startTimeoutMs, 3 * video.keyframeIntervalMs);
}

export function stalled(silentMs: number): LenscapError {
  return new LenscapError(
    'CAPTURE_STALLED',
    `no picture for ${(silentMs / 1000).toFixed(1)} s: check the camera and its connection`,
  );
}
