// The configuration of a camera by the API: versions, consent, two writers at once, bad input.
import t from 'tap';
import { enrol } from '../../../broker/fleet/enrolment.ts';
import { verifyDesiredConfig } from '../../../proto/desired-config.ts';
import type { Scope } from '../../../proto/scopes.ts';
import { reportedOf } from '../../proto/tellings.ts';
import { openHouse } from './house.ts';

interface State {
  readonly version: number;
  readonly document: Readonly<Record<string, unknown>>;
  readonly writtenBy: string | null;
  readonly how: string | null;
  readonly writtenAt: string | null;
  readonly shared: boolean;
  readonly reported: { readonly version: number; readonly state: string } | null;
  readonly differences: readonly { path: string; desired: unknown; reported: unknown }[];
  readonly since: string | null;
}

const BY = { actor: 'test', how: 'test' };

const house = await openHouse(t);
const token = await house.login(house.anna);

/** A camera of one owner, who consents to pictures and sound, and asks about its configuration. */
async function camera() {
  const server = { host: 'localhost', port: 1 };
  const request = { accountId: house.anna.accountId, name: 'Front door', server };
  const { deviceId } = await enrol(house.installation, request);
  const device = await house.store.devices.byId(deviceId);
  if (!device) throw new Error('it was not added');
  const { sha256 } = await house.consent.policy();
  const consent = async (...scopes: Scope[]): Promise<number> =>
    (await house.consent.grant(device, scopes, sha256, BY)).epoch;
  await consent('video', 'audio');
  const path = `/api/devices/${deviceId}/config`;
  const get = (): Promise<State> => house.json('GET', path, token);
  const patch = (version: number, change: unknown): Promise<State> =>
    house.json('PATCH', path, token, { version, patch: change });
  const refused = async (method: string, at: string, body: unknown): Promise<unknown> => {
    const response = await house.ask(method, `${path}${at}`, token, body);
    const answer: object = JSON.parse(await response.text());
    return { status: response.status, ...answer };
  };
  return { device, consent, path, get, patch, refused };
}

t.test('versions grow, with who and how, and any can be brought back', async (t) => {
  const { device, path, get, patch } = await camera();
  t.match(await get(), { version: 0, document: {}, writtenBy: null, reported: null });
  const one = await patch(0, { video: { bitrateKbps: 900 }, label: { name: 'Garden door' } });
  t.match(one, { version: 1, writtenBy: 'owner', how: 'api' });
  const { name } = await house.json<{ name: string }>(
    'GET',
    path.slice(0, -'/config'.length),
    token,
  );
  t.equal(name, 'Garden door', 'the name is said once');
  t.match(await patch(1, { video: { bitrateKbps: 900 } }), { version: 1 }, 'nothing changed');
  t.match(await patch(1, { video: null }), { version: 2, document: { label: {} } });
  const restore = { version: 1, seen: 2 };
  const restored = await house.json<State>('POST', `${path}/restore`, token, restore);
  t.match(restored, { version: 3, how: 'restored from 1', document: one.document });
  const history = await house.json<{ versions: (State & { paths: string[] })[] }>(
    'GET',
    `${path}/history`,
    token,
  );
  t.same(history.versions.at(-1)?.document, one.document, 'to take along');
  t.same(
    history.versions.map(({ version, paths }) => [version, paths]),
    [
      [3, ['/video/bitrateKbps']],
      [2, ['/video/bitrateKbps']],
      [1, ['/label/name', '/video/bitrateKbps']],
    ],
  );
  t.match(await house.json('GET', `${path}/versions/2`, token), { version: 2 });
  const [row] = await house.store.config.history(device.device_id, 2, 1);
  t.notMatch(Buffer.from(row?.sealed ?? []).toString('latin1'), /Garden|bitrate/, 'sealed');
});

t.test('what somebody else changed meanwhile is not lost, and nobody else sees it', async (t) => {
  const { path, patch, get, refused } = await camera();
  await patch(0, { overlay: { clock: true } });
  t.match(await refused('PATCH', '', { version: 0, patch: { overlay: { clock: false } } }), {
    status: 409,
    code: 'CONFIG_STALE',
    message: /you saw version 0, in force is version 1, written by its owner \(api\) at 20/,
  });
  t.match(await refused('PATCH', '', { version: 7, patch: {} }), { code: 'CONFIG_STALE' });
  t.match(await refused('POST', '/restore', { version: 9, seen: 1 }), { code: 'NOT_FOUND' });
  t.match(await refused('POST', '/restore', { version: 1, seen: 0 }), { code: 'CONFIG_STALE' });
  const writers = Array.from({ length: 8 }, (_, i) =>
    refused('PATCH', '', { version: 1, patch: { video: { bitrateKbps: 900 + i } } }),
  );
  const answers = await Promise.all(writers);
  const codes = answers.map((answer) => Reflect.get(Object(answer), 'code'));
  t.equal(codes.filter((code) => code === 'CONFIG_STALE').length, 7, 'exactly one wins');
  t.match(await get(), { version: 2 });
  const stranger = await house.login(house.bert);
  for (const [method, at] of [
    ['GET', ''],
    ['GET', '/history'],
    ['GET', '/versions/1'],
  ] as const)
    t.equal((await house.ask(method, `${path}${at}`, stranger)).status, 404, at);
  const body = { version: 2, patch: { overlay: null } };
  t.equal((await house.ask('PATCH', path, stranger, body)).status, 404);
});

t.test('what asks for more than consent is refused by its path', async (t) => {
  const { device, patch, refused, get } = await camera();
  const more = { snapshot: { intervalS: 60, onMotion: true }, label: { location: 'hall' } };
  t.match(await refused('PATCH', '', { version: 0, patch: more }), {
    status: 403,
    code: 'CONSENT_MISSING',
    message:
      /\/snapshot\/intervalS: needs .* snapshot\n *\/snapshot\/onMotion: .*\n *\/label\/location: .* location/,
  });
  t.match(await patch(0, { audio: { on: true } }), { version: 1 }, 'it is consented to');
  await house.consent.withdraw(device, ['audio'], BY);
  t.match(await refused('PATCH', '', { version: 1, patch: { overlay: { clock: true } } }), {
    code: 'CONSENT_MISSING',
    message: /\/audio\/on/,
  });
  t.match(await patch(1, { audio: { on: false }, overlay: { clock: true } }), { version: 2 });
  t.match(await refused('POST', '/restore', { version: 1, seen: 2 }), { code: 'CONSENT_MISSING' });
  t.match(await get(), { version: 2 }, 'what was in force stays');
});

t.test('bad input is refused, whatever it is', async (t) => {
  const { path, get, refused } = await camera();
  const raw = async (body: string): Promise<unknown> => {
    const response = await fetch(`${house.url}${path}`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body,
    });
    const answer: object = JSON.parse(await response.text());
    return { status: response.status, ...answer };
  };
  const points = Array.from({ length: 10_000 }, () => [0.25, 0.5]);
  t.match(await refused('PATCH', '', { version: 0, patch: { masks: [points] } }), {
    status: 400,
    code: 'CONFIG_INVALID',
    message: /\/masks\/0: must NOT have more than 64 items/,
  });
  const megabyte = { label: { name: 'x'.repeat(1 << 20) } };
  t.match(await refused('PATCH', '', { version: 0, patch: megabyte }), {
    code: 'REQUEST_INVALID',
    message: /too large/,
  });
  const bad = [
    '{"version":0,"patch":{"__proto__":{"video":{}}}}',
    '{"version":0,"patch":{"constructor":{"prototype":{"a":1}}}}',
    `{"version":0,"patch":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`,
    `{"version":0,"patch":{"masks":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`,
    '{"version":-1,"patch":{}}',
    '{"version":0.5,"patch":{}}',
    '{"version":0,"patch":[]}',
    '{"version":0}',
    '{"patch":{}}',
    'null',
    '{',
  ];
  for (const body of bad)
    t.match(await raw(body), { status: 400, code: 'REQUEST_INVALID' }, body.slice(0, 60));
  t.match(await raw('{"version":0,"patch":{"source":{"type":"rtsp"}}}'), {
    code: 'CONFIG_INVALID',
    message: /\(source\)/,
  });
  t.match(await refused('GET', '/versions/0', undefined), { status: 400 });
  t.match(await get(), { version: 0 });
});

t.test('drift is visible, with its beginning, and only while it is shared', async (t) => {
  const { device, consent, patch, get } = await camera();
  await patch(0, { video: { bitrateKbps: 900 } });
  t.match(await get(), { shared: false, reported: null, since: null });
  const epoch = await consent('device_info');
  t.match(await get(), { shared: true, reported: null, differences: { length: 0 } });
  const say = (version: number, settings: object) => {
    const message = reportedOf(epoch, { version, settings: JSON.stringify(settings) });
    const at = { asOf: epoch, nowUs: house.nowUs() };
    return house.store.told.note(device, { noun: 'reported', message }, at);
  };
  t.equal(await say(1, { video: { bitrateKbps: 900 } }), 'stored');
  t.match(await get(), { reported: { version: 1, state: 'applied' }, since: null });
  const { writtenAt } = await patch(1, { video: { bitrateKbps: 1200 }, masks: [] });
  t.match(await get(), {
    since: writtenAt,
    differences: [
      { path: '/masks', desired: { length: 0 }, reported: null },
      { path: '/video/bitrateKbps', desired: 1200, reported: 900 },
    ],
  });
  await house.consent.withdraw(device, ['device_info'], BY);
  t.match(await get(), { shared: false, reported: null, differences: { length: 0 }, since: null });
});

t.test('the last two hundred versions are kept, and none of a camera given away', async (t) => {
  const { device, patch, refused } = await camera();
  for (let version = 0; version < 203; version++)
    await house.installation.configuration.update(
      device,
      { patch: { video: { bitrateKbps: 1000 + version } }, seen: version },
      BY,
    );
  const history = await house.installation.configuration.history(device, 1000, 200);
  t.equal(history.length, 200);
  t.match(history.at(-1), { version: 4, paths: null }, 'what it changed is not known any more');
  t.match(await patch(203, { video: { width: 640 } }), { version: 204 });
  await house.installation.lifecycle.release(device, 'keep', BY);
  t.match(await refused('GET', '', undefined), { version: 0, document: {} });
  t.match(await refused('PATCH', '', { version: 0, patch: {} }), { code: 'STATE_INVALID' });
});

t.test('what is told the camera is signed for it alone', async (t) => {
  const { device, patch } = await camera();
  const { device_id: deviceId, account_id: accountId } = device;
  const { configuration } = house.installation;
  t.equal(await configuration.signed({ deviceId, accountId }, 0), undefined, 'there is none');
  await patch(0, { video: { bitrateKbps: 900 } });
  const signed = await configuration.signed({ deviceId, accountId }, 0);
  const payload = signed?.payload ?? Buffer.alloc(0);
  const { version, document } = verifyDesiredConfig(payload, house.publicKey, deviceId);
  t.same([version, document], [1, '{"video":{"bitrateKbps":900}}']);
  const other = house.bert.device.device_id;
  t.throws(() => verifyDesiredConfig(payload, house.publicKey, other), { code: 'GRANT_INVALID' });
  t.equal(await configuration.signed({ deviceId, accountId }, 1), undefined, 'it was told');
});
