// Cameras by the command line: given away, revoked, and what is said of one that is not well.
import t from 'tap';
import type { Device } from '../../../broker/cli/device-answers.ts';
import { remarksOn } from '../../../broker/cli/device-remarks.ts';
import { decodeSetupCode } from '../../../proto/setup-code.ts';
import { healthOf, infoOf, reportedOf } from '../../proto/tellings.ts';
import { Board, idOf } from '../fleet/house.ts';
import { tell } from '../portal/house.ts';
import { atTerminal, loggedIn } from './process.ts';

t.test('a camera given away says whether it has confirmed it', async (t) => {
  const { house, quick } = await loggedIn(t);
  const { lifecycle, listeners, store } = house.installation;
  const { device_id: deviceId } = house.anna.device;
  // The camera hears of it, obeys and says so, as it does on the wire.
  const obeyed: Promise<void>[] = [];
  const obey = async (): Promise<void> => {
    const { state, released_at_us } = (await store.devices.byId(deviceId)) ?? {};
    if (state === 'released' && released_at_us === null)
      await lifecycle.released(deviceId, 'ordered');
  };
  listeners.add(() => obeyed.push(obey()));
  const release = ['device', 'release', 'Front door', '--recordings', 'keep'];
  t.match(await quick(...release), { status: 64, err: /say --yes/ });
  t.match(await quick('device', 'release', 'Front door'), { status: 64, err: /--recordings/ });
  const ended = await quick(...release, '--yes');
  t.equal(ended.status, 0, ended.err);
  t.match(ended.out, /is released; its recordings are kept for you\nconfirmed by the camera at /);
  await Promise.all(obeyed);
  t.match(await quick('devices'), { out: /Front door +released +on/ });
  t.match(await quick(...release, '--yes'), { status: 73, err: /state of the device/ });
  t.match(await quick('consent', 'grant', 'Front door', 'video', '--agree', '1'), { status: 73 });
});

t.test('a camera that is not there is released unconfirmed, and that is said', async (t) => {
  const { house, home, quick } = await loggedIn(t);
  const token = await house.login(house.anna);
  const { claimId, code } = await house.json<{ claimId: string; code: string }>(
    'POST',
    '/api/claims',
    token,
    { name: 'Cellar' },
  );
  const { secret } = decodeSetupCode(code);
  const answer = await (await Board.make()).claim(house.installation, { claimId, secret });
  const release = ['device', 'release', 'Cellar', '--recordings', 'delete'];
  const no = await atTerminal(home, release, 'y\n');
  t.match(no, { status: 64, out: /DELETED for good.*nothing has changed/s });
  const yes = await atTerminal(home, release, 'yes\n');
  t.match(yes, { status: 0, out: /not confirmed: the camera is not connected/ });
  t.match(yes.out, /lenscap-agent reset/);
  t.match(await quick('devices'), { out: /has not confirmed it: what it holds stays on it/ });
  const json: Device[] = JSON.parse((await quick('devices', '--json')).out);
  t.match(
    json.find(({ id }) => id === idOf(answer)),
    { state: 'released', releasedAt: null },
  );
});

t.test('a camera is shown, and what waits on it only under its consent', async (t) => {
  const { house, quick } = await loggedIn(t);
  const { device } = house.anna;
  const shown = await quick('device', 'show', 'Front door');
  t.match(shown, { status: 0, out: /^state: +claimed|^state: +configured/m });
  t.match(shown.out, /^on the camera: not known$/m);
  const { sha256 } = await house.consent.policy();
  const by = { actor: 'test', how: 'test' };
  const { epoch } = await house.consent.grant(device, ['device_info'], sha256, by);
  const spool = { state: 'memory_only', code: 'STORE_FAILED', items: 3, bytes: 2048 } as const;
  await tell(house, device, { noun: 'health', message: healthOf(epoch, { spool }) });
  const told = await quick('device', 'show', 'Front door');
  t.match(told.out, /on the camera: 3 pieces and gaps .* memory only \(STORE_FAILED\).*2\.0 KiB/);
  const json: Device = JSON.parse((await quick('device', 'show', 'Front door', '--json')).out);
  t.same(json.spool, spool);
  t.match(await quick('devices'), { out: /cannot write to its flash/ });
  await house.consent.withdraw(device, ['device_info'], by);
  t.match((await quick('device', 'show', 'Front door')).out, /^on the camera: not known$/m);
});

t.test('a camera is shown with what it told of itself, and that can be erased', async (t) => {
  const { house, quick } = await loggedIn(t);
  const { device } = house.anna;
  const show = async (): Promise<string> => (await quick('device', 'show', 'Front door')).out;
  t.match(await show(), /^the device: +not known, since you share no device information$/m);
  const { sha256 } = await house.consent.policy();
  const by = { actor: 'test', how: 'test' };
  const { epoch } = await house.consent.grant(device, ['device_info'], sha256, by);
  t.match(await show(), /^model: +not told yet\n(.+\n)*health: +not told yet$/m);
  const hostile = '\u001b[2J\u202eevil\ncap:  on';
  await tell(house, device, { noun: 'info', message: infoOf(epoch, { model: hostile }) });
  await tell(house, device, { noun: 'health', message: healthOf(epoch) });
  const reverted = { state: 'reverted', code: 'CONFIG_UNHEALTHY', detail: 'no pictures' } as const;
  const message = reportedOf(epoch, { ...reverted, version: 3, inForce: 2 });
  await tell(house, device, { noun: 'reported', message });
  const shown = await show();
  for (const line of [
    /^model: +\\x1b\[2J\\u\{202e\}evil\\x0acap: {2}on$/m,
    /^serial: +SN-0042-planted$/m,
    /^firmware: +7\.1\.0-firmware$/m,
    /^agent: +1\.2\.3$/m,
    /^network: +eth0 192\.0\.2\.77, fe80::1 \(02:00:5e:10:00:01\)$/m,
    /^storage: +3\.7 GiB of 7\.5 GiB free$/m,
    /^health: +told \d.* ago/m,
    /^ +temperature +41\.5 °C$/m,
    /^ +flash wear +3%$/m,
    /^ +frames +3000 captured, 2 dropped$/m,
    /^ +link +8 ms round trip, lost 1 times, -60 dBm$/m,
    /^configuration: version 3 reverted \(CONFIG_UNHEALTHY: no pictures\), version 2 is in force/m,
  ])
    t.match(shown, line);
  const json = JSON.parse((await quick('device', 'info', 'Front door', '--json')).out);
  t.match(json, { info: { serial: 'SN-0042-planted' }, reported: { version: 3 } });
  const erase = ['device', 'info', 'Front door', '--erase'];
  t.match(await quick(...erase), { status: 64, err: /say --yes/ });
  t.match(await quick(...erase, '--yes'), { status: 0, out: 'erased\n' });
  t.match(await quick('device', 'info', 'Front door'), { out: /^serial: +not told yet$/m });
});

t.test('an identity is revoked after a yes', async (t) => {
  const { quick } = await loggedIn(t);
  t.match(await quick('device', 'revoke', 'Front door'), { status: 64, err: /say --yes/ });
  const ended = await quick('device', 'revoke', 'Front door', '--yes');
  t.match(ended, { status: 0, out: /is revoked; 0 certificates\. It is cut off within a second/ });
  t.match(await quick('devices'), { out: /Front door +revoked +on/ });
  t.match(await quick('device', 'revoke', 'nobody', '--yes'), { status: 66 });
});

t.test('what is wrong with a camera is said with the command that mends it', async (t) => {
  const nowMs = Date.parse('2026-06-01T00:00:00Z');
  const well: Device = {
    id: 'cam-aaaaaaaaaaaaaaaa',
    name: 'garden',
    state: 'configured',
    stateReason: null,
    releasedAt: null,
    certificateEnd: '2026-08-01T00:00:00Z',
    agentVersion: null,
    spool: null,
    labels: {},
    createdAt: '2026-05-01T00:00:00Z',
    connected: true,
    lastSeenAt: null,
    cap: 'off',
    scopes: ['video'],
    epoch: 2,
    appliedEpoch: 2,
    segments: 0,
    bytes: 0,
    lastSegmentEndAt: null,
  };
  const cases: [Partial<Device>, RegExp | undefined][] = [
    [{}, undefined],
    [{ state: 'claimed' }, undefined],
    [
      { state: 'suspended', stateReason: 'clone' },
      /two boards.*copied.*claim new --device cam-a.*device revoke cam-a/s,
    ],
    [{ state: 'suspended', stateReason: 'operator' }, /by the operator/],
    [{ state: 'waiting' }, /not connected with it yet/],
    [{ state: 'released' }, /not confirmed/],
    [{ state: 'released', releasedAt: '2026-05-02T00:00:00Z' }, undefined],
    [{ certificateEnd: '2026-05-31T00:00:00Z' }, /off for too long.*claim new --device/s],
    [{ spool: { state: 'on_flash', code: null, items: 9, bytes: 9 } }, undefined],
    [
      { spool: { state: 'memory_only', code: 'STORE_FAILED', items: 9, bytes: 9 } },
      /cannot write to its flash \(STORE_FAILED\).*power cut/s,
    ],
    [{ state: 'revoked', certificateEnd: '2026-05-31T00:00:00Z' }, undefined],
  ];
  for (const [change, said] of cases) {
    const [remark, ...more] = remarksOn({ ...well, ...change }, nowMs);
    t.equal(more.length, 0);
    if (said) t.match(remark, said);
    else t.equal(remark, undefined, JSON.stringify(change));
  }
});
