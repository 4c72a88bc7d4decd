// The demo behind `make run`, as a person meets it.
import { join } from 'node:path';
import t from 'tap';
import {
  DEMO,
  descendants,
  eventually,
  FILE_TIMEOUT_MS,
  finished,
  isAlive,
  node,
  Running,
} from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);

t.test(
  'eight seconds of it: recorded, verified, and exported as a file without a fault',
  async (t) => {
    const folder = t.testdir();
    const file = join(folder, 'out.mp4');
    const command = node(DEMO, '--seconds', '8', '--data', join(folder, 'data'), '--export', file);
    const { code, out, err } = await finished(command);
    t.equal(code, 0, err);
    t.match(out, /0 faults, 0 left over/);
    t.match(out, /consent: given by the demo owner/);
    const probe = await finished([
      'ffprobe',
      '-v',
      'error',
      '-show_entries',
      'stream=codec_type',
      '-of',
      'csv=p=0',
      file,
    ]);
    t.strictSame(probe, { code: 0, out: 'video\naudio\n', err: '' });
    const decoded = await finished([
      'ffmpeg',
      '-v',
      'error',
      '-xerror',
      '-i',
      file,
      '-f',
      'null',
      '-',
    ]);
    t.strictSame(decoded, { code: 0, out: '', err: '' });
  },
);

t.test('Ctrl-C at any moment ends everything', async (t) => {
  for (const word of ['source:', 'first segment stored']) {
    const demo = new Running(t, node(DEMO, '--data', join(t.testdir(), word.slice(0, 5))));
    await demo.says(word);
    const all = descendants(demo.pid);
    t.ok(all.length > 0);
    t.equal(await demo.kill('SIGINT'), 0, `after "${word}": ${demo.err}`);
    await eventually('no process is left', () => !all.some(isAlive), 2000);
    t.notMatch(demo.err, /\n {4}at /, 'without a stack');
  }
});

t.test('when the demo itself is killed, nothing is left of it', async (t) => {
  const demo = new Running(t, node(DEMO, '--data', join(t.testdir(), 'data')));
  await demo.says('first segment stored');
  const all = descendants(demo.pid);
  await demo.kill('SIGKILL');
  await eventually('no process is left', () => !all.some(isAlive), 30_000);
});

t.test('a wrong SOURCE or SECONDS gets one clear line', async (t) => {
  for (const args of [['--source', '/no/such/file.mp4'], ['--seconds', 'soon'], ['--nonsense']]) {
    const { code, err } = await finished(node(DEMO, ...args));
    t.not(code, 0);
    t.match(err, /^lenscap: .+\n$/, args.join(' '));
    t.equal(err.trim().split('\n').length, 1);
  }
});
