// The command line as its owner meets it: logging in, consent, mistakes.
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { PASSWORD } from '../portal/house.ts';
import { atTerminal, inProcess, lenscap, loggedIn } from './process.ts';

t.test('logging in keeps the token to its owner, and logging out ends it', async (t) => {
  const { house, home, run } = await loggedIn(t);
  await run('logout');
  const login = ['login', house.url, '--email', house.anna.email, '--password-file', '-'];
  t.match(await lenscap(home, login, `${PASSWORD}\n`), { status: 0 });
  const path = join(home, 'credentials.json');
  t.equal((await stat(path)).mode & 0o777, 0o600);
  const saved: { token: string } = JSON.parse(await readFile(path, 'utf8'));
  const devices = await run('devices');
  t.equal(devices.status, 0, devices.err);
  t.match(
    devices.out,
    /^ID +NAME +STATE +CAP .*\ncam-[a-z2-7]{16} +Front door +configured +off +yes +video,audio +0/,
  );
  const json: unknown = JSON.parse((await run('devices', '--json')).out);
  t.match(json, [{ id: house.anna.device.device_id, cap: 'off' }]);
  t.match(await run('logout'), { status: 0, out: 'logged out\n' });
  t.strictSame(await readdir(home), []);
  t.equal((await house.ask('GET', '/api/devices', saved.token)).status, 401);
  t.match(await run('devices'), {
    status: 77,
    out: '',
    err: /^lenscap: log in first: .*login URL/,
  });
});

t.test('what does not work ends with its status and one line that says what to do', async (t) => {
  const { house, home, quick } = await loggedIn(t);
  const login = ['login', house.url, '--email', house.anna.email, '--password-file', '-'];
  t.match(await inProcess(home, login, 'wrong password'), { status: 77, err: /password is wrong/ });
  const cases: [string[], number, RegExp][] = [
    [['login', 'http://cam.example', '--email', 'x', '--password-file', '-'], 64, /https:\/\//],
    [['login', 'nonsense', '--email', 'x', '--password-file', '-'], 64, /https:\/\//],
    [['login', house.url, '--email', 'x'], 64, /--password-file/],
    [['--server', 'http://127.0.0.1:1', 'devices'], 69, /does not answer/],
    [['consent', 'show', 'nobody'], 66, /no camera nobody; see/],
    [['consent', 'grant', 'Front door', 'telepathy'], 64, /no kind of data: telepathy/],
    [['consent', 'grant', 'Front door', 'live'], 77, /--agree 1/],
    [['consent', 'grant', 'Front door', 'live', '--agree', '7'], 77, /version 1 is in force/],
    [['segments', 'list', 'Front door', '--from', 'yesterday'], 64, /--from is no time: yesterday/],
    [
      ['export', 'Front door', '--from', '-1h', '--to', 'now', '-o', join(home, 'x.mp4')],
      66,
      /nothing is stored/,
    ],
    [['delete', 'Front door', '--from', '-1h'], 64, /either --segment, or both/],
    [['delete', 'Front door', '--from', '-1h', '--to', 'now'], 64, /--yes/],
    [['delete', 'Front door', '--segment', '../x/1', '--yes'], 64, /no piece/],
    [['play', 'Front door', '--minutes', 'x'], 64, /no time/],
    [['nonsense'], 64, /unknown command/],
  ];
  for (const [args, status, err] of cases) {
    const ended = await inProcess(home, args);
    t.equal(ended.status, status, `${args.join(' ')}: ${ended.err}`);
    t.match(ended.err, err);
    t.notMatch(ended.err, /\.ts:/);
    t.notOk(ended.err.includes('\u001b'), 'no colours');
  }
  t.strictSame((await readdir(home)).sort(), ['credentials.json'], 'nothing is left behind');
  await writeFile(join(home, 'credentials.json'), '{');
  t.match(await quick('devices'), { status: 78, err: /damaged; log in again/ });
});

t.test('consent is shown, given with the version named, withdrawn and proved', async (t) => {
  const { home, run, quick } = await loggedIn(t);
  const granted = await run('consent', 'grant', 'Front door', 'live', '--agree', '1');
  t.equal(granted.status, 0, granted.err);
  t.match(granted.out, /live: To let you watch live/);
  t.match(granted.out, /how long: not kept/);
  t.match(granted.out, /who gets it: nobody but you/);
  t.match(granted.out, /in force: video, audio, live/);
  t.notMatch(granted.out, /^audio: /m, 'only what was asked for');
  const withdrawn = await quick('consent', 'withdraw', 'Front door');
  t.match(withdrawn, { status: 0, out: /cap: on\nin force: nothing/ });
  t.match(await quick('consent', 'show', 'Front door'), { out: /cap: on/ });
  t.match(await quick('consent', 'log', 'Front door'), {
    out: /OWNER_CHANGED.*\n.*GRANTED.*\n.*\n.*WITHDRAWN/,
  });
  t.match(await quick('policy'), { out: /What Lenscap records/ });
  const path = join(home, 'receipt.json');
  t.equal((await quick('consent', 'receipt', 'Front door', '-o', path)).status, 0);
  t.match(await run('consent', 'receipt', '--check', path), { status: 0, out: /sound; 4 records/ });
  await writeFile(path, (await readFile(path, 'utf8')).replace('WITHDRAWN', 'GRANTED'));
  t.match(await run('consent', 'receipt', '--check', path), {
    status: 64,
    err: /record 4 was changed/,
  });
});

t.test('help shows every command with examples, without colours', async (t) => {
  const { status, out } = await lenscap(t.testdir(), ['--help']);
  t.equal(status, 0);
  for (const name of [
    'login',
    'logout',
    'claim',
    'devices',
    'device',
    'policy',
    'consent',
    'segments',
    'play',
    'export',
    'delete',
  ])
    t.match(out, new RegExp(`^  ${name} `, 'm'));
  t.match(out, /Examples:/);
  t.notMatch(out, '\u001b');
});

t.test('at a terminal consent is a typed yes, and a password is not shown', async (t) => {
  const { house, home, quick } = await loggedIn(t);
  const grant = ['consent', 'grant', house.anna.device.device_id, 'live'];
  const no = await atTerminal(home, grant, 'y\n');
  t.match(no, { status: 77, out: /nothing has changed/ });
  t.notMatch(await quick('consent', 'show', 'Front door'), { out: /live/ });
  const yes = await atTerminal(home, grant, 'yes\n');
  t.match(yes, { status: 0, out: /in force: video, audio, live/ });
  const login = ['login', house.url, '--email', house.anna.email];
  const asked = await atTerminal(home, login, `${PASSWORD}\n`);
  t.match(asked, { status: 0, out: /logged in at/ });
  t.notOk(asked.out.includes(PASSWORD));
});
