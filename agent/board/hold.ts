// Whether a button is held, as a state machine. Pure: events and times in, state out.
// INVARIANT: one hold is answered once, and one that began unseen not at all; after that nothing but a
// new press begins another.

/**
 * `pressed` and `released` are edges that were seen. `down` is a level: the button was found
 * pressed, or repeats. `lost`: nothing is known of it any more.
 */
export type ButtonEvent = 'pressed' | 'released' | 'down' | 'lost';

export type Hold =
  /** Nothing was heard of it yet. */
  | { readonly kind: 'unseen' }
  | { readonly kind: 'up' }
  | { readonly kind: 'held'; readonly sinceMs: number }
  /** Still held after it was answered, or from before anybody watched. */
  | { readonly kind: 'done' };

export const UNSEEN: Hold = { kind: 'unseen' };
export const UP: Hold = { kind: 'up' };

export function after(hold: Hold, event: ButtonEvent, nowMs: number): Hold {
  switch (event) {
    case 'pressed':
      return { kind: 'held', sinceMs: nowMs };
    case 'released':
      return UP;
    case 'down':
      // A line that is stuck or wired the other way must not erase the board at each start.
      if (hold.kind === 'unseen') return { kind: 'done' };
      return hold.kind === 'up' ? { kind: 'held', sinceMs: nowMs } : hold;
    case 'lost':
      return hold.kind === 'held' ? UP : hold;
  }
}

/** How long until the hold is long enough; null while the button is not held. */
export function dueInMs(hold: Hold, holdMs: number, nowMs: number): number | null {
  return hold.kind === 'held' ? Math.max(0, hold.sinceMs + holdMs - nowMs) : null;
}
