// The environment of a board that has just been switched on and has no battery for its clock.
import { FAKED } from './faked-clock.ts';

/** For a child process: wall time begins in 1970, monotonic time is left alone. */
export const IN_1970: NodeJS.ProcessEnv = { ...FAKED, FAKETIME: '@1970-01-02 00:00:00' };
