// The unit for systemd, looked at by systemd's own tools.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';

const run = promisify(execFile);
const UNIT = new URL('../../board/lenscap-agent.service', import.meta.url);
/** As systemd counts: 10 is worst. */
const MOST_EXPOSED = 2.5;

t.test('the unit is valid, and exposes little', async (t) => {
  const path = join(t.testdir(), 'lenscap-agent.service');
  const text = readFileSync(UNIT, 'utf8');
  writeFileSync(path, text.replaceAll('/opt/lenscap/bin/lenscap-agent', '/bin/true'));
  const { stderr } = await run('systemd-analyze', ['verify', path]);
  t.equal(stderr, '');
  const { stdout } = await run('systemd-analyze', ['security', '--offline=true', path]);
  const exposure = Number(/exposure level for \S+: (\d+\.\d+)/.exec(stdout)?.[1]);
  t.ok(exposure <= MOST_EXPOSED, `${exposure}`);
});

t.test('it says what the agent counts on', async (t) => {
  const text = readFileSync(UNIT, 'utf8');
  for (const line of [
    'Type=notify',
    'NotifyAccess=all',
    'LimitCORE=0',
    'RestartPreventExitStatus=78',
  ])
    t.ok(text.split('\n').includes(line), line);
  t.match(text, /^WatchdogSec=\d+$/m);
  t.match(text, /^ExecReload=kill -HUP \$MAINPID$/m);
  const [, program = '', config = ''] = /^ExecStart=(\S+) run (.*)$/m.exec(text) ?? [];
  t.ok(text.includes(`\nExecStopPost=-${program} light off ${config}\n`), 'dark after a crash');
});
