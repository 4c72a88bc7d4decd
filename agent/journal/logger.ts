// The logger of the agent: every line goes to standard error, and into the journal where there is one.
// INVARIANTS: a new level holds for every logger that was made from it, also before; nobody who logs is
// thrown at, whatever he logs; a line is bounded, and harmless where it is shown.
import { type LogFn, type Logger, pino } from 'pino';
import { harmlessJson } from '../../proto/harmless.ts';
import type { Journal } from './journal.ts';

const HIDDEN_HERE = ['privateKey', '*.privateKey', 'password', '*.password', 'identity', 'payload'];

/** Of a line; with all that is in a longer one nobody could do anything. */
const MAX_LINE = 64 * 1024;
/** What standard error did not take is kept up to there. */
const MAX_UNREAD = 1 << 20;
const HEAD = /^\{"level":\d+,"time":"[^"]{1,40}"/;

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
  sink: LogSink = standardError(),
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
    { level, base: null, timestamp, redact: HIDDEN_HERE, onChild, hooks: { logMethod } },
    {
      write: (line: string) => {
        const shown = harmlessJson(bounded(line));
        sink.write(shown);
        journal?.take(shown);
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

/** Getters that throw, causes without end: what cannot be read is said to be so. */
function logMethod(this: Logger, args: Parameters<LogFn>, method: LogFn): void {
  try {
    method.apply(this, args);
  } catch {
    method.call(this, { code: 'BUG' }, 'what was to be said here cannot be read');
  }
}

/** Where nobody reads it any more, the agent goes on; the journal has its lines. */
function standardError(): LogSink {
  const sink = pino.destination({ fd: 2, sync: true, maxLength: MAX_UNREAD });
  return sink.on('error', () => undefined);
}

function bounded(line: string): string {
  if (line.length <= MAX_LINE) return line;
  const [head = '{"level":40'] = HEAD.exec(line) ?? [];
  return `${head},"sizeBytes":${line.length},"droppedLines":1,"msg":"a line was too long"}\n`;
}
