// Runs test files, each in a process of its own and some at a time, and adds up what they count. They
// are started as by hand, since the runner that comes with tap has each process and each thread that a
// test starts load its bookkeeping for coverage: half of all the time that the tests would take.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { text } from 'node:stream/consumers';

/** For a file that does not even end itself in its time. */
const KILL_AFTER_S = 30;
/** Of what a test says when it fails. */
const FAILURE_LINES = 15;
/** The slowest come first, so that none of them is left alone at the end. */
const FIRST = ['test/torture/', 'test/e2e/'];

export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

interface Suite {
  readonly files: readonly string[];
  /** How many at a time. */
  readonly jobs: number;
  /** For all tests of a file. */
  readonly timeoutS: number;
  readonly env: NodeJS.ProcessEnv;
  readonly print: (line: string) => void;
}

/** All files with tests, in the order in which they had best be run. */
export function allFiles(): string[] {
  const rank = (file: string): number => {
    const at = FIRST.findIndex((folder) => file.startsWith(folder));
    return at < 0 ? FIRST.length : at;
  };
  const files = globSync('test/**/*.test.ts').sort();
  return files.sort((one, other) => rank(one) - rank(other));
}

/**
 * Runs the files and prints what each said when it has ended, as one TAP document. A file that failed
 * beside others is run once more, alone: what fails alone has failed, what does not is named as
 * unsteady at the end. Whatever failed is printed again there.
 */
export async function runFiles(suite: Suite): Promise<Counts> {
  const { print } = suite;
  print('TAP version 14');
  const first = await runTogether(suite, suite.files, suite.jobs);
  const failed = first.filter(({ counts }) => counts.failed > 0);
  const again = await runTogether(
    suite,
    failed.map(({ file }) => file),
    1,
  );
  print(`1..${first.length + again.length}`);
  for (const { file, said } of failed) {
    const isUnsteady = again.some((run) => run.file === file && run.counts.failed === 0);
    print(`# ${isUnsteady ? 'UNSTEADY, passed alone' : 'FAILED, also alone'}: ${file}`);
    for (const line of failuresIn(said)) print(`#   ${line}`);
  }
  const counted = [...first.filter(({ counts }) => counts.failed === 0), ...again];
  return {
    passed: counted.reduce((sum, { counts }) => sum + counts.passed, 0),
    failed: counted.reduce((sum, { counts }) => sum + counts.failed, 0),
  };
}

interface Run {
  readonly file: string;
  readonly said: readonly string[];
  readonly counts: Counts;
}

async function runTogether(
  { timeoutS, env, print }: Suite,
  files: readonly string[],
  jobs: number,
): Promise<Run[]> {
  const waiting = [...files];
  const runs: Run[] = [];
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const { status, said, tookMs } = await runFile(file, timeoutS, env);
      const counts = countsOf(said, status);
      runs.push({ file, said, counts });
      print(`# Subtest: ${file}`);
      for (const line of said) print(`    ${line}`);
      print(`${counts.failed === 0 ? 'ok' : 'not ok'} ${runs.length} - ${file} # time=${tookMs}ms`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return runs;
}

/** Each failure with the lines that say why. */
function failuresIn(said: readonly string[]): string[] {
  return said.flatMap((line, at) =>
    /^\s*not ok/.test(line) ? said.slice(at, at + FAILURE_LINES) : [],
  );
}

async function runFile(file: string, timeoutS: number, env: NodeJS.ProcessEnv) {
  const startMs = performance.now();
  const child = spawn(process.execPath, [file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...env, TAP_TIMEOUT: String(timeoutS) },
    timeout: (timeoutS + KILL_AFTER_S) * 1000,
    killSignal: 'SIGKILL',
  });
  const [said, [status]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const tookMs = Math.round(performance.now() - startMs);
  return { status, said: said.trimEnd().split('\n'), tookMs };
}

/**
 * What a file says at its end: `# { total: 9, pass: 7, fail: 1, skip: 1 }`. What was skipped or put off
 * has failed, and so has a file that ends badly or without a count.
 */
export function countsOf(said: readonly string[], status: unknown): Counts {
  const sum = said.findLast((line) => line.startsWith('# { ')) ?? '';
  const of = (key: string): number => Number(new RegExp(`\\b${key}: (\\d+)`).exec(sum)?.[1] ?? 0);
  const failed = of('fail') + of('skip') + of('todo');
  const isBad = status !== 0 || sum === '' || of('pass') === 0;
  return { passed: of('pass'), failed: isBad && failed === 0 ? 1 : failed };
}
