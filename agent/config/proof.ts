// Whether pictures prove a configuration. Pure: what is seen from time to time in, a verdict out.
// Invariant: proven only by pictures that flowed without a stall for the whole time.
import type { AgentConfig } from '../../proto/agent-config.ts';

/** On top of what a source may take to start: the capture before it has to end first. */
const CHANGE_US = 5_000_000;

/** What is seen of the camera at one moment; monotonic times. */
export interface Sight {
  readonly nowUs: number;
  /** The camera is to be open: consent and the recording mode want it. */
  readonly isWanted: boolean;
  readonly lastPictureUs: number | null;
}

export interface ProofLimits {
  /** Pictures have to flow for so long. */
  readonly provenAfterUs: number;
  /** Longest wait for the first one. */
  readonly startUs: number;
  /** Longest wait for the next one. */
  readonly silenceUs: number;
}

/** Since when pictures are wanted, and when the first of them came. Null while none are wanted. */
export type Proof = { readonly sinceUs: number; readonly firstUs: number | null } | null;

export type Verdict =
  | { readonly kind: 'waiting' | 'resting' | 'proven'; readonly proof: Proof }
  | { readonly kind: 'failed'; readonly proof: Proof; readonly detail: string };

export function look(proof: Proof, sight: Sight, limits: ProofLimits): Verdict {
  const { nowUs, isWanted, lastPictureUs } = sight;
  if (!isWanted) return { kind: 'resting', proof: null };
  const sinceUs = proof?.sinceUs ?? nowUs;
  const isNew = lastPictureUs !== null && lastPictureUs > sinceUs;
  const firstUs = proof?.firstUs ?? (isNew ? lastPictureUs : null);
  const seen = { sinceUs, firstUs };
  if (firstUs === null || lastPictureUs === null)
    return nowUs - sinceUs > limits.startUs ? failed(seen, 'no picture came') : waiting(seen);
  if (nowUs - lastPictureUs > limits.silenceUs) return failed(seen, 'the pictures stopped');
  const isProven = lastPictureUs - firstUs >= limits.provenAfterUs;
  return isProven ? { kind: 'proven', proof: seen } : waiting(seen);
}

const waiting = (proof: Proof): Verdict => ({ kind: 'waiting', proof });
const failed = (proof: Proof, detail: string): Verdict => ({ kind: 'failed', proof, detail });

/** As the settings in force say. */
export function limitsOf({ capture, health, video }: AgentConfig): ProofLimits {
  const stallMs = Math.max(capture.stallTimeoutMs, 3000 / video.frameRate + 500);
  return {
    provenAfterUs: health.provenAfterMs * 1000,
    startUs: capture.startTimeoutMs * 1000 + CHANGE_US,
    silenceUs: stallMs * 1000 + CHANGE_US,
  };
}
