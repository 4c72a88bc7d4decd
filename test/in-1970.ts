// The environment of a board that has just been switched on and has no battery for its clock.
import { globSync } from 'node:fs';
import { ENV } from './e2e/processes.ts';

/** For a child process: wall time begins in 1970, monotonic time is left alone. */
export const IN_1970: NodeJS.ProcessEnv = {
  ...ENV,
  // The program `faketime` would stand between a test and the process that it signals.
  LD_PRELOAD: globSync('/usr/lib/*/faketime/libfaketime.so.1')[0],
  FAKETIME: '@1970-01-02 00:00:00',
  DONT_FAKE_MONOTONIC: '1',
};
