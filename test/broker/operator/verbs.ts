// The operator's verbs as main.ts has them, in this process, on a real data folder.
import { Command } from 'commander';
import { deviceVerbs, fleetVerbs } from '../../../broker/operator/commands.ts';
import { rolloutVerbs } from '../../../broker/operator/rollout-commands.ts';
import { type Desk, opened } from '../../../broker/operator/verb.ts';
import { ERRORS, toLenscapError } from '../../../proto/errors.ts';
import { fleetHouse } from '../fleet/house.ts';

export interface Ended {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line on a folder, without the name of the program and of the folder. */
export function server(data: string, ...args: string[]): Promise<Ended> {
  return run(data, args, opened);
}

async function run(data: string, args: readonly string[], open: Desk['opened']): Promise<Ended> {
  const lines: string[] = [];
  const desk = { print: (line: string): void => void lines.push(`${line}\n`), opened: open };
  const program = new Command('lenscap-server').exitOverride();
  deviceVerbs(program, desk);
  fleetVerbs(program, desk);
  rolloutVerbs(program, desk);
  const ended = (status: number, err = ''): Ended => ({ status, out: lines.join(''), err });
  try {
    await program.parseAsync([...args, '--data', data], { from: 'user' });
    return ended(0);
  } catch (thrown) {
    const { code, message } = toLenscapError(thrown);
    return ended(ERRORS[code].exit, `${code}: ${message}`);
  }
}

/** A fleet, and the verbs on it; its folder is open already. */
export async function ready(t: Parameters<typeof fleetHouse>[0]) {
  const house = await fleetHouse(t);
  const { folder } = house;
  return {
    house,
    run: (...args: string[]): Promise<Ended> => run(folder, args, (_options, use) => use(house)),
  };
}
