// What a place is that setup codes come from, and what it does with what it finds.

/**
 * What became of a code. `refused`: for good, it is not offered again. `retry`: it may still be
 * good, such as when the server cannot be reached.
 */
export type Answer = 'claimed' | 'refused' | 'retry';

/** Tries to claim this board with a code; `from` is the name of the source. Never rejects. */
export type Offer = (code: string, from: string) => Promise<Answer>;

export interface CodeSource {
  readonly name: string;
  /** Looks for codes and offers them, until one has claimed the board or `signal` aborts. */
  run(offer: Offer, signal: AbortSignal): Promise<void>;
}

/** The answer to an offer, or `stopped` when `signal` aborts before. */
export async function answerTo(
  offer: Promise<Answer>,
  signal: AbortSignal,
): Promise<Answer | 'stopped'> {
  const { promise, resolve } = Promise.withResolvers<'stopped'>();
  const stop = (): void => resolve('stopped');
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    return await Promise.race([offer, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
