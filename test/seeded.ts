// Chance with a seed that is printed, so that a failure can be repeated: SEED=123 node test/….
interface Reporter {
  comment(message: string): void;
}

/** Numbers in [0, 1) after mulberry32; the seed is `SEED` of the environment or made of the time. */
export function seeded(reporter: Reporter): () => number {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
  reporter.comment(`seed ${seed}`);
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
