// Boards that are claimed, in a process of their own; their keys are made beforehand.
import { newDeviceId } from '../../../broker/store/ids.ts';
import type { Code, FromBoards, Result, ToBoards } from './claim-messages.ts';
import { type Board, claim, makeBoard } from './claimer.ts';

/** How long a claim may take with all its repetitions. */
const PATIENCE_MS = 180_000;

const ending = new AbortController();
const boards: Board[] = [];
/** Of a device that does not exist, for the first one. */
let neighbour = newDeviceId();

const say = (message: FromBoards): void => {
  process.send?.(message);
};

async function claimOne({ name, code }: Code): Promise<Result> {
  const signal = AbortSignal.any([ending.signal, AbortSignal.timeout(PATIENCE_MS)]);
  const board = boards.pop() ?? (await makeBoard());
  try {
    const claimed = await claim(code, board, neighbour, signal);
    neighbour = claimed.deviceId;
    return { name, isClaimed: true, ...claimed };
  } catch (error) {
    return { name, isClaimed: false, why: error instanceof Error ? error.message : String(error) };
  }
}

async function claimAll({ codes, atATime }: ToBoards): Promise<void> {
  const waiting = [...codes];
  const results: Result[] = [];
  const claimer = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift())
      results.push(await claimOne(next));
  };
  await Promise.all(Array.from({ length: atATime }, claimer));
  say({ kind: 'done', results });
}

async function makeBoards(count: number): Promise<void> {
  while (boards.length < count) boards.push(await makeBoard());
  say({ kind: 'ready' });
}

function fail(error: unknown): void {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
}

process.on('message', (message: ToBoards) => {
  claimAll(message).catch(fail);
});
process.once('disconnect', () => {
  ending.abort();
  process.exit();
});
makeBoards(Number(process.argv[2])).catch(fail);
