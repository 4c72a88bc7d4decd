// The configuration of a camera by the command line.
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { ConfigState } from '../../../broker/cli/config-answers.ts';
import { ENV, eventually, node, Running } from '../../e2e/processes.ts';
import { reportedOf } from '../../proto/tellings.ts';
import { inProcess, loggedIn, MAIN } from './process.ts';

const BY = { actor: 'test', how: 'test' };

t.test('settings are changed, shown and brought back', async (t) => {
  const { house, quick } = await loggedIn(t);
  t.match(await quick('config', 'show', 'Front door'), { out: /version 0; nobody has changed/ });
  const set = await quick(
    ...['config', 'set', 'Front door', 'video.bitrateKbps=1500', 'overlay.clock=true'],
    'label.name=Porch',
  );
  t.match(set, { status: 0, out: /^version 1 is wanted\n$/ });
  const shown = await quick('config', 'show', 'Porch');
  t.match(shown.out, /video\.bitrateKbps = 1500\nreported: +not known, since you share no/);
  t.match(await quick('config', 'set', 'Porch', 'overlay.clock=true'), {
    out: /nothing changes; version 1 stays/,
  });
  const file = join(house.folder, 'patch.json');
  writeFileSync(file, '{"video":{"width":640}}');
  const unset = ['--file', file, '--unset', 'overlay.clock', '--json'];
  const state: ConfigState = JSON.parse((await quick('config', 'set', 'Porch', ...unset)).out);
  t.same(state.document, { label: { name: 'Porch' }, video: { bitrateKbps: 1500, width: 640 } });
  t.match(await quick('config', 'restore', 'Porch', '1'), { out: /version 3 is wanted/ });
  const history = await quick('config', 'history', 'Porch');
  t.match(history.out, /^3 +\S+ +you +restored from 1 +overlay\.clock, video\.width$/m);
});

t.test('what is refused is said, and nothing has changed', async (t) => {
  const { quick } = await loggedIn(t);
  const set = (...args: string[]) => quick('config', 'set', 'Front door', ...args);
  t.match(await set('video.width=3', 'foo.bar=1'), {
    status: 78,
    err: /\(foo\)\n +\/video\/width: must be >= 64/,
  });
  t.match(await set('snapshot.intervalS=60'), { status: 77, err: /consent to snapshot/ });
  t.match(await set(), { status: 64 });
  t.match(await set('video'), { status: 64, err: /NAME=VALUE/ });
  t.match(await set('--file', '/nowhere'), { status: 64 });
  t.match(await quick('config', 'restore', 'Front door', '7'), { status: 66 });
  t.match(await quick('config', 'restore', 'Front door', 'x'), { status: 64 });
  t.match(await quick('config', 'show', 'Front door'), { out: /version 0/ });
});

t.test('waiting ends with what the camera says', async (t) => {
  const { house, quick } = await loggedIn(t);
  const { device } = house.anna;
  const wait = (value: number) =>
    quick('config', 'set', 'Front door', `video.width=${value}`, '--wait', '--wait-s', '20');
  t.match(await wait(640), { status: 77, err: /not known, since you share no device information/ });
  const { sha256 } = await house.consent.policy();
  const { epoch } = await house.consent.grant(device, ['device_info'], sha256, BY);
  const answers = {
    2: { state: 'applied', inForce: 2, settings: '{"video":{"width":642}}' },
    3: {
      ...{ state: 'rejected', code: 'CONFIG_INVALID', inForce: 2 },
      faults: [{ path: '/video/width', message: 'more than the source gives' }],
    },
    4: { state: 'reverted', code: 'CONFIG_UNHEALTHY', detail: 'no pictures', inForce: 2 },
  } as const;
  house.installation.reconfigured.add(() => {
    void (async () => {
      const { version } = await house.installation.configuration.current(device);
      const over = version === 2 || version === 3 || version === 4 ? answers[version] : {};
      const message = reportedOf(epoch, { version, ...over });
      const at = { asOf: epoch, nowUs: house.nowUs() };
      await house.store.told.note(device, { noun: 'reported', message }, at);
    })();
  });
  t.match(await wait(642), { status: 0, out: /has applied version 2/ });
  t.match(await wait(644), {
    status: 78,
    err: /rejected.*\n +\/video\/width: more than the source gives/,
  });
  t.match(await wait(646), { status: 70, err: /reverted: CONFIG_UNHEALTHY: no pictures/ });
  const shown = await quick('config', 'show', 'Front door');
  t.match(shown.out, /reported: +version 4 reverted .*; in force is version 2$/m);
  t.match(shown.out, /difference: since 20/);
});

t.test('it is edited as a text: faults are shown there, and it is opened again', async (t) => {
  const { house, home, quick } = await loggedIn(t);
  await quick('config', 'set', 'Front door', 'video.bitrateKbps=1500', 'overlay.clock=true');
  const { TMPDIR = '' } = process.env;
  t.teardown(() => {
    process.env.TMPDIR = TMPDIR;
  });
  process.env.TMPDIR = house.folder;
  const seen = join(house.folder, 'seen');
  /** An editor that writes one text after another, and keeps what it was given. */
  const editor = (...texts: readonly string[]): string => {
    const program = join(house.folder, 'editor.cjs');
    writeFileSync(seen, '');
    writeFileSync(
      program,
      `const { appendFileSync, existsSync, readFileSync, writeFileSync } = require('node:fs');
      const [texts, at] = [${JSON.stringify(texts)}, ${JSON.stringify(seen)}];
      const turn = readFileSync(at, 'utf8').split('TURN').length - 1;
      appendFileSync(at, 'TURN ' + readFileSync(process.argv[2], 'utf8'));
      if (texts[turn] !== undefined) writeFileSync(process.argv[2], texts[turn]);`,
    );
    return `'${process.execPath}' '${program}'`;
  };
  const edit = (...texts: readonly string[]) =>
    inProcess(home, ['config', 'edit', 'Front door'], '', editor(...texts));
  t.match(await edit(), { status: 0, out: /nothing changes; version 1 stays/ });
  t.match(readFileSync(seen, 'utf8'), /Front door, version 1\..*"bitrateKbps": 1500/s);
  const [wrong, right] = ['{"video":{"width":3}}', '// so\n{"video":{"width":640}}'];
  t.match(await edit('{', wrong, right), { status: 0, out: /version 2 is wanted/ });
  t.match(
    readFileSync(seen, 'utf8'),
    /TURN.*TURN.*no JSON.*TURN.*\/\/ +\/video\/width: must be >= 64.*"width":3/s,
  );
  t.match(JSON.parse((await quick('config', 'show', 'Front door', '--json')).out), {
    document: { video: { width: 640, bitrateKbps: undefined }, overlay: undefined },
  });
  const givenUp = await edit(wrong);
  t.match(givenUp, { status: 64, err: /what you wrote is in .*\n.*given up/ });
  const [, file = ''] = /what you wrote is in (\S+)/.exec(givenUp.err) ?? [];
  t.match(readFileSync(file, 'utf8'), /"width":3/);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.match(await inProcess(home, ['config', 'edit', 'Front door'], '', 'false'), { status: 64 });
  const { device } = house.anna;
  const { configuration } = house.installation;
  const [open, go] = [join(house.folder, 'open'), join(house.folder, 'go')];
  const waiting = `touch ${open}; until [ -e ${go} ]; do sleep 0.05; done; ${editor(right.replace('640', '320'))}`;
  const racing = inProcess(home, ['config', 'edit', 'Front door'], '', waiting);
  await eventually('it is open', () => existsSync(open));
  await configuration.update(device, { patch: { log: { level: 'debug' } }, seen: 2 }, BY);
  writeFileSync(go, '');
  t.match(await racing, { status: 73, err: /you saw version 2, in force is version 3/ });
});

t.test('Ctrl-C in the editor is for the editor', async (t) => {
  const { house, home } = await loggedIn(t);
  const [open, go] = [join(house.folder, 'open'), join(house.folder, 'go')];
  const wait = `touch ${open}; until [ -e ${go} ]; do sleep 0.05; done`;
  const EDITOR = `${wait}; echo '{"video":{"width":640}}' >`;
  const env = { ...ENV, LENSCAP_HOME: home, VISUAL: '', EDITOR };
  const args = ['config', 'edit', 'Front door'];
  const editing = new Running(t, node(MAIN, ...args), { env });
  await eventually('it is open', () => existsSync(open));
  process.kill(editing.pid, 'SIGINT');
  writeFileSync(go, '');
  t.equal(await editing.ended, 0, editing.tail());
  t.match(editing.out, /version 1 is wanted/);
});

t.test('what can be set is told, with what is allowed', async (t) => {
  const { quick } = await loggedIn(t);
  const { out } = await quick('config', 'settings');
  t.match(out, /^video\.bitrateKbps +50 to 50000 +\S/m);
  t.match(out, /^video\.rotation +0 \| 90 \| 180 \| 270 +\S/m);
  t.match(out, /^overlay\.clock +true \| false +\S/m);
  t.match(out, /^masks +list, up to 16 +\S/m);
  t.match(out, /^label\.name +text, up to 100 +\S/m);
  t.notMatch((await quick('config', 'settings', 'label')).out, /video/);
  t.match(await quick('config', 'settings', 'nothing'), { status: 66 });
});
