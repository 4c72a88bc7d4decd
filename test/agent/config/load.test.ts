// The configuration file: defaults, every fault with its path, and what the real process makes of it.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loadAgentConfig } from '../../../agent/config/load.ts';
import { toLenscapError } from '../../../proto/errors.ts';
import { ENV } from '../../e2e/processes.ts';

const least = { identity: 'identity.json', stateDir: 'state', source: { type: 'test' } };
const agent = new URL('../../../agent/main.ts', import.meta.url).pathname;

function write(t: { testdir(): string }, content: unknown): string {
  const path = join(t.testdir(), 'agent.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

function fault(path: string): string {
  try {
    loadAgentConfig(path);
    return 'accepted';
  } catch (error) {
    return `${toLenscapError(error).code} ${toLenscapError(error).message}`;
  }
}

t.test('what is absent has its default, and paths start at the file', async (t) => {
  const path = write(t, {
    ...least,
    source: { type: 'file', path: 'clip.mov' },
    factory: 'factory.json',
    claim: { folders: ['usb', '/boot'] },
  });
  const config = loadAgentConfig(path);
  const at = (name: string) => join(path, '..', name);
  t.match(config, {
    identity: at('identity.json'),
    stateDir: at('state'),
    source: { type: 'file', path: at('clip.mov'), loop: false },
    uplink: { window: 4, backlogPercent: 80, maxKbps: 0, meteredInterfaces: { length: 0 } },
    spool: { maxBytes: 1 << 30, memoryBytes: 32 << 20, durability: 'sparing' },
    factory: at('factory.json'),
    claim: { lens: true, folders: [at('usb'), '/boot'] },
  });
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.source) && Object.isFrozen(config.uplink));
  const rtsp = { type: 'rtsp', url: 'rtsp://h/s', credentialsFile: '/etc/x' };
  t.match(loadAgentConfig(write(t, { ...least, source: rtsp })).source, rtsp);
});

t.test('every fault is named with its path', async (t) => {
  const cases: [unknown, RegExp[]][] = [
    [{}, [/'identity'/, /'stateDir'/, /'source'/]],
    [{ ...least, video: { width: 1, frameRate: 'x' } }, [/\/video\/width/, /\/video\/frameRate/]],
    [{ ...least, speed: 1 }, [/additional properties \(speed\)/]],
    [{ ...least, source: { type: 'tape' } }, [/\/source/]],
    [{ ...least, source: { type: 'v4l2', device: '/etc/passwd' } }, [/\/source\/device/]],
    [{ ...least, source: { type: 'rtsp', url: 'rtsp://u:p@h/' } }, [/\/source\/url/]],
    [
      {
        ...least,
        capture: { backoffMinMs: 5000, backoffMaxMs: 100 },
        uplink: { backoffMinMs: 50, backoffMaxMs: 40 },
      },
      [/\/capture\/backoffMinMs: must be <= /, /\/uplink\/backoffMinMs: must be <= /],
    ],
    [
      { ...least, source: { type: 'libcamera' }, audio: { source: 'source' } },
      [/\/audio\/source: a source of type libcamera has no sound/],
    ],
    [
      { ...least, video: { bitrateKbps: 50000 }, segment: { durationMs: 60000 } },
      [/\/spool\/memoryBytes: must hold two segments/],
    ],
    [{ ...least, queue: { maxBytes: 1 << 26 } }, [/additional properties \(queue\)/]],
    [
      { ...least, uplink: { backlogPercent: 0, meteredInterfaces: ['no such'] } },
      [/\/uplink\/backlogPercent/, /\/uplink\/meteredInterfaces\/0/],
    ],
    ['{ "identity": ', [/cannot be read as JSON/]],
    ['[]', [/must be object/]],
  ];
  for (const [content, wanted] of cases)
    for (const one of wanted) {
      const said = fault(write(t, content));
      t.match(said, /^CONFIG_INVALID /);
      t.match(said, one);
    }
  t.match(fault(join(t.testdir(), 'none')), /ENOENT/);
  t.match(fault(t.testdir()), /^CONFIG_INVALID .*EISDIR/);
});

const run = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [agent, ...args], {
    encoding: 'utf8',
    env: ENV,
  });
  return { status, stdout, stderr };
};

t.test('the process ends with 78 and all faults, for run and check alike', async (t) => {
  const path = write(t, { ...least, video: { width: 1 }, segment: { durationMs: 1 } });
  for (const verb of ['check', 'run'])
    t.match(run(verb, '--config', path), {
      status: 78,
      stdout: '',
      stderr: /\/video\/width[\s\S]*\/segment\/durationMs/,
    });
  t.match(run('check', '--config', write(t, least)), {
    status: 0,
    stdout: /identity\.json: no identity yet/,
  });
  const factory = write(t, { ...least, factory: 'factory.json' });
  t.match(run('check', '--config', factory), { status: 78, stderr: /factory\.json.*no such file/ });
});

t.test('wrong usage ends with 64, help and version with 0', async (t) => {
  t.match(run('check'), { status: 64, stderr: /--config/ });
  t.match(run('dance'), { status: 64 });
  t.match(run('run', '--config', 'a', '--fast'), { status: 64, stderr: /--fast/ });
  t.match(run('--version'), { status: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  t.match(run('--help'), { status: 0, stdout: /run .*[\s\S]*check .*[\s\S]*78/ });
});
