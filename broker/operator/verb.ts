// What every verb of the operator has: a data folder, opened for it and closed again.
import type { Command } from 'commander';
import { harmlessJson } from '../../proto/harmless.ts';
import { type Installation, readServerConfig } from '../installation.ts';
import { withInstallation } from '../operator.ts';

/** Options of every verb. */
export interface Common {
  readonly data: string;
  readonly config?: string;
}
export interface AsJson extends Common {
  readonly json?: true;
}

/** Where verbs do their work. */
export interface Desk {
  /** One line of the result. */
  readonly print: (line: string) => void;
  /** Opens the data folder that was named, and closes it again. */
  readonly opened: <T>(options: Common, use: (house: Installation) => Promise<T>) => Promise<T>;
}

/** As JSON; what it holds comes from elsewhere. */
export function printJson({ print }: Pick<Desk, 'print'>, value: unknown): void {
  print(harmlessJson(JSON.stringify(value, null, 2)));
}

/** A command with the options of every verb. */
export function verb(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .requiredOption('--data <dir>', 'data folder; made on first use')
    .option('--config <file>', 'configuration; default: config.json in the data folder');
}

export async function opened<T>(
  { data, config: file }: Common,
  use: (house: Installation) => Promise<T>,
): Promise<T> {
  return withInstallation(data, await readServerConfig(data, file), use);
}
