// What the link did since the agent started, over all its connections. Invariant: counts only grow,
// and count what the server has taken in: what it refused is not among what was sent.

export class LinkFigures {
  #segmentsSent = 0;
  #bytesSent = 0;
  #connectionsLost = 0;
  #roundTripMs: number | null = null;

  get segmentsSent(): number {
    return this.#segmentsSent;
  }

  /** Of the messages for what waited; what a connection itself takes is not in it. */
  get bytesSent(): number {
    return this.#bytesSent;
  }

  get connectionsLost(): number {
    return this.#connectionsLost;
  }

  /** Of the last small message; null before there was one. */
  get roundTripMs(): number | null {
    return this.#roundTripMs;
  }

  noteSent(kind: string, bytes: number): void {
    if (kind === 'segment') this.#segmentsSent += 1;
    this.#bytesSent += bytes;
  }

  noteRoundTrip(tookMs: number): void {
    this.#roundTripMs = Math.round(tookMs);
  }

  noteLost(): void {
    this.#connectionsLost += 1;
  }
}
