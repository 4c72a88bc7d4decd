// The configuration of a camera by the command line.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { ConfigState } from '../../../broker/cli/config-answers.ts';
import { reportedOf } from '../../proto/tellings.ts';
import { loggedIn } from './process.ts';

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
    2: { state: 'applied', inForce: 2, settings: '{"video":{"width":641}}' },
    3: {
      ...{ state: 'rejected', code: 'CONFIG_INVALID', inForce: 2 },
      faults: [{ path: '/video/width', message: 'must be even' }],
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
  t.match(await wait(641), { status: 0, out: /has applied version 2/ });
  t.match(await wait(642), { status: 78, err: /rejected.*\n +\/video\/width: must be even/ });
  t.match(await wait(643), { status: 70, err: /reverted: CONFIG_UNHEALTHY: no pictures/ });
  const shown = await quick('config', 'show', 'Front door');
  t.match(shown.out, /reported: +version 4 reverted .*; in force is version 2$/m);
  t.match(shown.out, /difference: since 20/);
});
