// What the bench and the process of its boards say to each other over the IPC channel.
import type { Claimed } from './claimer.ts';

/** A setup code, made by the owner for a camera of this name. */
export interface Code {
  readonly name: string;
  readonly code: string;
}

export interface ToBoards {
  readonly codes: readonly Code[];
  readonly atATime: number;
}

/** What became of a code: an identity, or why not. */
export type Result =
  | ({ readonly name: string; readonly isClaimed: true } & Claimed)
  | { readonly name: string; readonly isClaimed: false; readonly why: string };

export type FromBoards =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly results: readonly Result[] };
