// Rows that many ask for at the same time, e.g. while a fleet connects: one statement for all who asked
// while the one before was under way, since a message to the thread of the index costs more than a row.
// INVARIANT: an answer was read after it was asked for.

/** In one statement, for which everybody else waits. Few, since each count is a statement of its own. */
const GROUP = 32;

type Waiting<V> = PromiseWithResolvers<V | undefined>;

export class Gathered<V> {
  readonly #read: (keys: readonly string[]) => Promise<ReadonlyMap<string, V>>;
  #asked = new Map<string, Waiting<V>>();
  #isReading = false;

  /** `read` answers what there is of so many. */
  constructor(read: (keys: readonly string[]) => Promise<ReadonlyMap<string, V>>) {
    this.#read = read;
  }

  get(key: string): Promise<V | undefined> {
    const waiting = this.#asked.get(key) ?? Promise.withResolvers<V | undefined>();
    this.#asked.set(key, waiting);
    if (!this.#isReading) void this.#readAll();
    return waiting.promise;
  }

  /** Until nobody waits; never rejects. */
  async #readAll(): Promise<void> {
    this.#isReading = true;
    while (this.#asked.size > 0) {
      const group = new Map([...this.#asked].slice(0, GROUP));
      for (const key of group.keys()) this.#asked.delete(key);
      await this.#answer(group);
    }
    this.#isReading = false;
  }

  async #answer(group: ReadonlyMap<string, Waiting<V>>): Promise<void> {
    try {
      const found = await this.#read([...group.keys()]);
      for (const [key, { resolve }] of group) resolve(found.get(key));
    } catch (error) {
      for (const { reject } of group.values()) reject(error);
    }
  }
}
