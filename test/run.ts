// Runs the checks (formatting and lint, types) and then all tests, and closes on the plain line
// `N passed, N failed`. A check counts as one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { allFiles, runFiles } from './suite.ts';

const CHECKS: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ['formatting and lint', 'node_modules/.bin/biome', 'check', '--error-on-warnings', '.'],
  ['types', 'node_modules/.bin/tsc', '--noEmit'],
];

/** Compiled code is kept for the hundreds of programs that the tests start. */
const NODE_COMPILE_CACHE = new URL('../.toolchain/compile-cache', import.meta.url).pathname;
/** Tests wait as long as they work, so twice as many as there are cores on a small machine. */
const JOBS = 4;
const FILE_TIMEOUT_S = 600;
/** The long runs load the machine by themselves, and take as long as they take. */
const LONG_JOBS = 2;
const LONG_TIMEOUT_S = 7200;

/** Exit status of a command whose output goes through here, line by line. */
async function run(
  command: string,
  args: readonly string[],
  onLine: (line: string) => void,
): Promise<number> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) onLine(line);
  const [code] = await closed;
  return typeof code === 'number' ? code : 1;
}

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

let passed = 0;
let failed = 0;
for (const [name, command, ...args] of CHECKS) {
  const code = await run(command, args, print);
  print(`# check: ${name}: ${code === 0 ? 'ok' : 'FAILED'}`);
  if (code === 0) passed++;
  else failed++;
}

if (!process.argv.includes('--check')) {
  const named = process.argv.slice(2);
  const files = named.length > 0 ? named : allFiles();
  const env = { ...process.env, NODE_COMPILE_CACHE };
  const isLong = process.env.TORTURE === '1';
  const jobs = isLong ? LONG_JOBS : JOBS;
  const timeoutS = isLong ? LONG_TIMEOUT_S : FILE_TIMEOUT_S;
  const counts = await runFiles({ files, jobs, timeoutS, env, print });
  passed += counts.passed;
  failed += counts.failed;
}
print(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
