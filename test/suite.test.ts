// What the runner of these tests makes of what a file says: nothing that went wrong is taken for right.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { allFiles, countsOf, runFiles } from './suite.ts';

t.test('what failed, was skipped, put off, or never came to its end has failed', async (t) => {
  const end = (counts: string) => ['ok 1 - one', `# { total: 9, ${counts} }`, '# time=5ms'];
  const cases: [string, readonly string[], unknown, { passed: number; failed: number }][] = [
    ['all passed', end('pass: 9'), 0, { passed: 9, failed: 0 }],
    ['some failed', end('pass: 6, fail: 1, skip: 1, todo: 1'), 1, { passed: 6, failed: 3 }],
    ['a skip alone', end('pass: 8, skip: 1'), 0, { passed: 8, failed: 1 }],
    ['a bad end', end('pass: 9'), 1, { passed: 9, failed: 1 }],
    ['a signal', end('pass: 9'), null, { passed: 9, failed: 1 }],
    ['nothing was tested', end('pass: 0'), 0, { passed: 0, failed: 1 }],
    ['no count', ['ok 1 - one'], 0, { passed: 0, failed: 1 }],
    ['nothing at all', [''], 0, { passed: 0, failed: 1 }],
    ['a count of a subtest', ['    # { total: 9, pass: 9 }'], 0, { passed: 0, failed: 1 }],
  ];
  for (const [what, said, status, counts] of cases)
    t.strictSame(countsOf(said, status), counts, what);
});

t.test('files run as processes of their own, and what they count is added up', async (t) => {
  const folder = t.testdir();
  const content = {
    'good.test.ts': "import t from 'tap'; t.pass(); t.equal(process.execArgv.length, 0);",
    'bad.test.ts':
      "import t from 'tap'; t.pass(); t.test('x', async () => { throw new Error(); });",
    'ends.test.ts': "import t from 'tap'; t.pass(); process.kill(process.pid, 'SIGKILL');",
  };
  const files = Object.entries(content).map(([name, text]) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  });
  const lines: string[] = [];
  const print = (line: string) => lines.push(line);
  const counts = await runFiles({ files, jobs: 2, timeoutS: 60, env: process.env, print });
  t.strictSame(counts, { passed: 3, failed: 2 });
  const ends = lines.filter((line) => /^(not )?ok/.test(line)).map((line) => line.split(' ')[0]);
  t.strictSame(ends.sort(), ['not', 'not', 'not', 'not', 'ok'], 'what fails is run once more');
  const named = lines.filter((line) => line.startsWith('# FAILED, also alone: '));
  t.equal(named.length, 2);
  t.ok(
    lines.some((line) => /^# {3}.*not ok/.test(line)),
    'and printed again at the end',
  );
  t.ok(allFiles().includes('test/suite.test.ts'));
});

t.test('what fails beside others and passes alone is named, and counts once', async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'once.test.ts');
  writeFileSync(
    file,
    `import { existsSync, writeFileSync } from 'node:fs'; import t from 'tap';
    const isFirst = !existsSync('${folder}/ran'); writeFileSync('${folder}/ran', '');
    t.pass(); t.notOk(isFirst);`,
  );
  const lines: string[] = [];
  const print = (line: string) => lines.push(line);
  const counts = await runFiles({ files: [file], jobs: 2, timeoutS: 60, env: process.env, print });
  t.strictSame(counts, { passed: 2, failed: 0 });
  t.ok(lines.includes(`# UNSTEADY, passed alone: ${file}`));
});
