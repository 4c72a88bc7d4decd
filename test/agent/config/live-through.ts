// The life of some versions on a board, each step said as soon as it is on disk: live-through.ts
// STATE_DIR. Run under strace by a test, which ends it anywhere.
import { writeSync } from 'node:fs';
import { pino } from 'pino';
import type { DesiredEvent } from '../../../agent/config/desired.ts';
import { Pushed } from '../../../agent/config/pushed.ts';
import { SimulatedClock } from '../consent/grants.ts';
import { boardOf, LIFE } from './boards.ts';

const [stateDir = ''] = process.argv.slice(2);
const log = pino({ enabled: false });
const pushed = new Pushed({ board: boardOf(stateDir), clock: new SimulatedClock(), log });

function isDone([said, event]: readonly [string, DesiredEvent]): boolean {
  const fault = pushed.noteIfSaved(event);
  writeSync(1, `${fault?.code ?? said}\n`);
  return fault === null;
}

process.exitCode = LIFE.every(isDone) ? 0 : 1;
