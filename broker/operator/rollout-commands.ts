// The operator's verbs about labels and rollouts, as a command line.
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import { isObject, type JsonObject } from '../../proto/device-config.ts';
import { LenscapError } from '../../proto/errors.ts';
import { listLines, rolloutJson, rolloutLines } from './rollout-lines.ts';
import { type AsJson, type Common, type Desk, printJson, verb } from './verb.ts';

interface StartOptions extends Common {
  readonly label: readonly string[];
  readonly stages: string;
  readonly stopAbove: number;
  readonly waitS: number;
  readonly settleS: number;
}

const ROLLOUT = ['<id>', 'number of a rollout', wholeUpTo(Number.MAX_SAFE_INTEGER)] as const;

/** `device label`, under the verbs of devices. */
export function labelVerb(device: Command, desk: Desk): void {
  const { print, opened } = desk;
  verb(device, 'label', 'set or remove labels of a device; prints those it bears then')
    .argument('<device>', 'device id')
    .argument('[labels...]', 'key=value sets, key- removes')
    .action(async (deviceId: string, typed: string[], options: Common) => {
      const labels = await opened(options, ({ rollouts }) => rollouts.label(deviceId, typed));
      for (const [key, value] of Object.entries(labels)) print(`${key}=${value}`);
    });
}

export function rolloutVerbs(program: Command, desk: Desk): void {
  const { print, opened } = desk;
  const rollout = program.command('rollout').description('one change for many devices, in stages');
  startVerb(rollout, desk);
  verb(rollout, 'list', 'list rollouts and how far they are')
    .option('--json', 'as JSON')
    .action(async (options: AsJson) => {
      const views = await opened(options, ({ rollouts }) => rollouts.list());
      if (options.json) printJson(desk, views.map(rolloutJson));
      else for (const line of listLines(views)) print(line);
    });
  verb(rollout, 'show', 'one rollout: what became of it on each device')
    .argument(...ROLLOUT)
    .option('--json', 'as JSON')
    .action(async (id: number, options: AsJson) => {
      const view = await opened(options, ({ rollouts }) => rollouts.show(id));
      if (options.json) printJson(desk, rolloutJson(view));
      else for (const line of rolloutLines(view)) print(line);
    });
  verb(rollout, 'stop', 'send it to no further device; those that have it keep it')
    .argument(...ROLLOUT)
    .action(async (id: number, options: Common) => {
      await opened(options, ({ rollouts }) => rollouts.stop(id, 'by the operator'));
      print(`rollout ${id} is stopped; \`rollout resume\` lets it go on`);
    });
  verb(rollout, 'resume', 'let a stopped rollout go on')
    .argument(...ROLLOUT)
    .option('--stop-above <percent>', 'another share above which it stops', wholeUpTo(100))
    .action(async (id: number, options: Common & { stopAbove?: number }) => {
      await opened(options, ({ rollouts }) => rollouts.resume(id, options.stopAbove));
      print(`rollout ${id} goes on`);
    });
}

function startVerb(rollout: Command, desk: Desk): void {
  const { print, opened } = desk;
  verb(rollout, 'start', 'push a merge patch to every device with these labels; prints its number')
    .argument('<file>', 'merge patch as JSON; - for standard input')
    .option('--label <key=value>', 'a label that devices have to bear; may be said again', more, [])
    .option('--stages <list>', 'how many devices each stage reaches in total', '1,10%,100%')
    .option('--stop-above <percent>', 'stop when more than so many fail', wholeUpTo(100), 20)
    .option('--wait-s <seconds>', 'how long a device may take to answer', wholeUpTo(2_592_000), 120)
    .option('--settle-s <seconds>', 'how long a stage has to hold', wholeUpTo(2_592_000), 15)
    .addHelpText(
      'after',
      '\nExample:\n  lenscap-server rollout start bitrate.json --label site=north --stages 1,10%,100% --data /var/lib/lenscap',
    )
    .action(async (file: string, options: StartOptions) => {
      const { label: labels, stages, stopAbove: stopPercent, waitS, settleS } = options;
      const request = { labels, stages, stopPercent, waitS, settleS, actor: userInfo().username };
      const patch = await patchFrom(file);
      print(String(await opened(options, ({ rollouts }) => rollouts.start({ ...request, patch }))));
    });
}

function more(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function wholeUpTo(most: number): (typed: string) => number {
  return (typed) => {
    const value = Number(typed);
    if (/^\d{1,16}$/.test(typed) && value <= most) return value;
    throw new InvalidArgumentError(`a whole number up to ${most}`);
  };
}

/** @throws REQUEST_INVALID. */
async function patchFrom(file: string): Promise<JsonObject> {
  try {
    const parsed: unknown = JSON.parse(await readFile(file === '-' ? '/dev/stdin' : file, 'utf8'));
    if (isObject(parsed)) return parsed;
  } catch (error) {
    throw new LenscapError('REQUEST_INVALID', `${file} cannot be read as JSON`, { cause: error });
  }
  throw new LenscapError('REQUEST_INVALID', `${file} is no JSON object`);
}
