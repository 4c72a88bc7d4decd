// The operator's verbs as main.ts has them, in this process, on a real data folder.
import { Command } from 'commander';
import { deviceVerbs, fleetVerbs } from '../../../broker/operator/commands.ts';
import { rolloutVerbs } from '../../../broker/operator/rollout-commands.ts';
import { ERRORS, toLenscapError } from '../../../proto/errors.ts';
import { fleetHouse } from '../fleet/house.ts';

export interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line, without the name of the program and the folder. */
export async function server(data: string, ...args: string[]): Promise<Ended> {
  const lines: string[] = [];
  const print = (line: string): void => void lines.push(`${line}\n`);
  const program = new Command('lenscap-server').exitOverride();
  deviceVerbs(program, print);
  fleetVerbs(program, print);
  rolloutVerbs(program, print);
  const ended = (status: number, err = ''): Ended => ({ status, out: lines.join(''), err });
  try {
    await program.parseAsync([...args, '--data', data], { from: 'user' });
    return ended(0);
  } catch (thrown) {
    const { code, message } = toLenscapError(thrown);
    return ended(ERRORS[code].exit, `${code}: ${message}`);
  }
}

/** A fleet, and the verbs on its folder. */
export async function ready(t: Parameters<typeof fleetHouse>[0]) {
  const house = await fleetHouse(t);
  const run = (...args: string[]): Promise<Ended> => server(house.folder, ...args);
  return { house, run };
}
