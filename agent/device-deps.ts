// What one life as a device is made from: by agent.ts, of what the program has.
import type { Logger } from 'pino';
import type { AgentConfig } from '../proto/agent-config.ts';
import type { Clock, KnownTime } from './clock.ts';
import type { Identity } from './identity/identity.ts';
import type { Journal } from './journal/journal.ts';
import type { Notifier } from './service/notifier.ts';

/** What the program around the agent has. */
export interface Surroundings {
  readonly notifier: Pick<Notifier, 'tell' | 'status'>;
  /** Half of what the service manager's watchdog waits; null: there is none. */
  readonly watchdogPeriodMs: number | null;
  readonly journal: Journal;
  readonly setLogLevel: (level: AgentConfig['log']['level']) => void;
  /** Calls back with the board's file, read anew. Returns how to stop that. */
  readonly onReload: (listener: (config: AgentConfig) => void) => () => void;
}

export interface DeviceLifeDeps extends Omit<Surroundings, 'onReload'> {
  /** The board's own. */
  readonly config: AgentConfig;
  readonly identity: Identity;
  /** As the maker of the board gave it; null for none. */
  readonly serial: string | null;
  readonly instanceId: string;
  readonly clock: Clock;
  readonly time: KnownTime;
  readonly random: () => number;
  readonly log: Logger;
  /** The owner has released the camera; notes it before it returns. */
  readonly onRelease: () => void;
  /** The identity on disk is gone, or that of another device. */
  readonly onReplaced: () => void;
  /** Whether the ownership has ended. */
  readonly isDeparting: () => boolean;
}
