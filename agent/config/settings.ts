// The settings in force as a live thing: the board's own with the pushed document over them.
// Invariant: what is read at one moment is one whole, valid, frozen configuration.
import type { AgentConfig } from '../../proto/agent-config.ts';

export class Settings {
  readonly #listeners = new Set<() => void>();
  #now: AgentConfig;

  constructor(now: AgentConfig) {
    this.#now = now;
  }

  now(): AgentConfig {
    return this.#now;
  }

  /** Puts another configuration in force, and tells everybody. */
  replace(config: AgentConfig): void {
    if (config === this.#now) return;
    this.#now = config;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Calls back after each change. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** An object each of whose properties reads what holds at that moment. */
export function live<T extends object>(read: () => T): T {
  // The target only says which properties there are; it must not be frozen, as a proxy may show no
  // other value than a frozen target has.
  return new Proxy({ ...read() }, { get: (_, key) => Reflect.get(read(), key) });
}
