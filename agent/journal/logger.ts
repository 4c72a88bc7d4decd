// The logger of the agent: every line goes to standard error, and into the journal where there is one.
// INVARIANT: a new level holds for every logger that was made from it, also before.
import { type Logger, pino } from 'pino';
import type { Journal } from './journal.ts';

const HIDDEN_HERE = ['privateKey', '*.privateKey', 'password', '*.password', 'identity', 'payload'];

export interface LeveledLog {
  readonly log: Logger;
  setLevel(level: string): void;
}

export interface LogSink {
  write(line: string): void;
}

/** `sink` absent: standard error. */
export function makeLog(
  level: string,
  journal: Pick<Journal, 'take' | 'flush'> | null,
  sink: LogSink = pino.destination({ fd: 2, sync: true }),
): LeveledLog {
  let children: WeakRef<Logger>[] = [];
  const onChild = (child: Logger): void => {
    // Loggers of connections and captures that are gone.
    if (children.length % 64 === 63)
      children = children.filter((reference) => reference.deref() !== undefined);
    children.push(new WeakRef(child));
  };
  const timestamp = pino.stdTimeFunctions.isoTime;
  const log: Logger = pino(
    { level, base: null, timestamp, redact: HIDDEN_HERE, onChild },
    {
      write: (line: string) => {
        sink.write(line);
        journal?.take(line);
      },
    },
  );
  return {
    log,
    setLevel: (next) => {
      log.level = next;
      for (const reference of children) {
        const child = reference.deref();
        if (child !== undefined) child.level = next;
      }
    },
  };
}
