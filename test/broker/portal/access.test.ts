// Who may ask for what: every route of the OpenAPI document without a login, with a false one, and as
// somebody else.

import { pino } from 'pino';
import t from 'tap';
import { Portal } from '../../../broker/portal/portal.ts';
import { checkServerConfig } from '../../../proto/server-config.ts';
import { openHouse, PASSWORD } from './house.ts';
import { cutMotion, storeCut } from './media.ts';

interface OpenApi {
  readonly openapi: string;
  readonly paths: Record<
    string,
    Record<string, { security?: unknown[]; summary?: string; tags?: string[] }>
  >;
}

const OPEN = ['POST /api/login', 'GET /health', 'GET /openapi.json'];
/** Bodies that pass validation, so that the answer is about access. */
const BODIES: Record<string, unknown> = {
  'PATCH /api/devices/{id}/config': { version: 0, patch: {} },
  'POST /api/devices/{id}/config/restore': { version: 1, seen: 0 },
  'POST /api/login': { email: 'x@example.org', password: 'xxxxxxxx' },
  'POST /api/claims': { name: 'x' },
  'POST /api/claims/label': { code: 'x', name: 'x' },
  'POST /api/devices/{id}/release': { recordings: 'delete' },
  'PUT /api/devices/{id}/alerts': { kinds: ['motion'] },
  grant: { scopes: ['video'], policySha256: 'a'.repeat(64) },
};

const routesOf = (document: OpenApi) =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      name: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );

const fill = (path: string, deviceId: string, streamId: string): string =>
  path
    .replace('{id}', deviceId)
    .replace('{stream}', streamId)
    .replace('{sequence}', '0')
    .replace('{snapshot}', streamId)
    .replace('{version}', '1')
    .replace('{token}', 'x.y');

const bodyFor = (name: string): unknown =>
  BODIES[name] ??
  (name.endsWith('/grant') ? BODIES.grant : name.startsWith('POST') ? {} : undefined);
const withRange = (name: string, path: string): string =>
  /^DELETE .*\/(segments|snapshots|events)$/.test(name)
    ? `${path}?from=2020-01-01T00:00:00Z&to=2030-01-01T00:00:00Z`
    : path;

t.test('every route is described, and closed unless it is on the list', async (t) => {
  const house = await openHouse(t);
  const document = await house.json<OpenApi>('GET', '/openapi.json');
  const routes = routesOf(document);
  t.match(document.openapi, /^3\.1/);
  t.ok(routes.length >= 24, `${routes.length} routes`);
  const token = await house.login(house.bert);
  for (const { method, path, name, operation } of routes) {
    t.ok(operation.summary && operation.tags?.length, `${name} is described`);
    const isOpen = OPEN.includes(name) || path.startsWith('/play/');
    t.equal(operation.security?.length === 0, isOpen, `${name} says whether it is open`);
    const url = withRange(name, fill(path, house.anna.device.device_id, 'a'.repeat(32)));
    for (const bearer of [undefined, 'x', `${token.slice(0, -1)}~`, 'A'.repeat(43)]) {
      const response = await house.ask(method, url, bearer, bodyFor(name));
      const { code, message, retry } = JSON.parse((await response.text()) || '{}');
      if (!isOpen) {
        t.equal(response.status, 401, `${name} without a login`);
        t.match({ code, retry }, { code: 'AUTH_REQUIRED', retry: false });
        t.type(message, 'string');
      } else if (path.startsWith('/play/')) t.equal(response.status, 404, name);
      t.match(response.headers.get('cache-control'), /no-store/, `${name} is not cached`);
      t.equal(response.headers.get('x-content-type-options'), 'nosniff');
    }
  }
});

t.test("another owner's camera is like none, by status and body, on every route", async (t) => {
  const house = await openHouse(t);
  const { anna, store } = house;
  const cut = await cutMotion(house.folder);
  const startAtUs = house.nowUs() - 60e6;
  const stored = await storeCut(cut, { store, device: anna.device, epoch: anna.epoch, startAtUs });
  const token = await house.login(house.bert);
  const document = await house.json<OpenApi>('GET', '/openapi.json');
  const routes = routesOf(document).filter(({ path }) => path.includes('{id}'));
  t.ok(routes.length >= 15, `${routes.length} routes of a device`);
  for (const { method, path, name } of routes) {
    const ask = async (deviceId: string): Promise<[number, string]> => {
      const url = withRange(name, fill(path, deviceId, stored.streamId));
      const response = await house.ask(method, url, token, bodyFor(name));
      return [response.status, await response.text()];
    };
    const others = await ask(anna.device.device_id);
    t.equal(others[0], 404, name);
    t.strictSame(others, await ask('cam-aaaaaaaaaaaaaaaa'), `${name} tells nothing`);
  }
  t.equal((await store.media.totals(anna.device.device_id)).segments, cut.segments.length);
  t.equal((await house.consent.current(anna.device.device_id)).epoch, anna.epoch);
  const { devices } = await house.json<{ devices: { id: string }[] }>('GET', '/api/devices', token);
  t.strictSame(
    devices.map(({ id }) => id),
    [house.bert.device.device_id],
  );
});

t.test('a login ends by logging out and by its time', async (t) => {
  const house = await openHouse(t, { http: { sessionS: 60 } });
  const [one, two] = [await house.login(house.anna), await house.login(house.anna)];
  t.not(one, two);
  t.equal((await house.ask('POST', '/api/logout', one)).status, 200);
  t.equal((await house.ask('GET', '/api/devices', one)).status, 401);
  t.equal((await house.ask('GET', '/api/devices', two)).status, 200, 'only that one');
  house.advance(61e6);
  t.equal((await house.ask('GET', '/api/devices', two)).status, 401);
});

t.test('a wrong password and an unknown address get the same answer', async (t) => {
  const house = await openHouse(t);
  const attempt = async (email: string, password: string) => {
    const response = await house.ask('POST', '/api/login', undefined, { email, password });
    return [response.status, await response.text()];
  };
  const wrong = await attempt(house.anna.email, 'something else');
  t.strictSame(wrong, await attempt('nobody@example.org', PASSWORD));
  t.equal(wrong[0], 401);
  t.match(wrong[1], /AUTH_FAILED/);
});

t.test('attempts to log in are limited, and other requests go on', async (t) => {
  const house = await openHouse(t, { http: { loginsPerMinute: 3 } });
  const token = await house.login(house.anna);
  const body = { email: house.anna.email, password: 'something else' };
  const statuses: number[] = [];
  for (let attempt = 0; attempt < 4; attempt += 1)
    statuses.push((await house.ask('POST', '/api/login', undefined, body)).status);
  t.strictSame(statuses, [401, 401, 429, 429]);
  const refused = await house.ask('POST', '/api/login', undefined, body);
  t.match(await refused.json(), { code: 'RATE_LIMITED', retry: true });
  t.equal((await house.ask('GET', '/api/devices', token)).status, 200);
});

t.test('requests that are no good are refused in words, never with a stack', async (t) => {
  const house = await openHouse(t);
  const token = await house.login(house.anna);
  const device = `/api/devices/${house.anna.device.device_id}`;
  const cases: [string, string, unknown, number][] = [
    ['GET', `${device}/segments?from=yesterday`, undefined, 400],
    ['GET', `${device}/segments?from=2026-01-01T00:00:00`, undefined, 400],
    ['GET', `${device}/segments?limit=0`, undefined, 400],
    ['GET', `${device}/segments?limit=1e9`, undefined, 400],
    ['GET', `${device}/segments?cursor=..%2f`, undefined, 400],
    ['GET', `${device}/segments?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z`, undefined, 400],
    ['GET', `${device}/segments?to=9999-01-01T00:00:00Z`, undefined, 400],
    ['GET', `${device}/timeline?to=9999-01-01T00:00:00Z`, undefined, 400],
    ['GET', `${device}/timeline?from=-000001-01-01T00:00:00Z`, undefined, 400],
    ['GET', `${device}/timeline?from=2200-01-01T00:00:00Z`, undefined, 400],
    ['GET', `${device}/export/manifest?asOf=9999-01-01T00:00:00Z`, undefined, 400],
    [
      'DELETE',
      `${device}/segments?from=2026-01-01T00:00:00Z&to=9999-01-01T00:00:00Z`,
      undefined,
      400,
    ],
    ['DELETE', `${device}/segments`, undefined, 400],
    ['DELETE', `${device}/segments?from=2026-01-01T00:00:00Z`, undefined, 400],
    ['DELETE', `${device}/segments/..%2f..%2fetc/0`, undefined, 400],
    ['DELETE', `${device}/segments/__proto__/0`, undefined, 400],
    ['DELETE', `${device}/segments/${'a'.repeat(32)}/-1`, undefined, 400],
    [
      'POST',
      `${device}/consent/grant`,
      { scopes: ['telepathy'], policySha256: 'a'.repeat(64) },
      400,
    ],
    ['POST', `${device}/consent/grant`, { scopes: [], policySha256: 'a'.repeat(64) }, 400],
    ['POST', `${device}/consent/grant`, { scopes: ['video'] }, 400],
    ['POST', `${device}/play`, { ttlS: 1e9 }, 400],
    ['POST', `${device}/release`, {}, 400],
    ['POST', `${device}/release`, { recordings: 'burn' }, 400],
    ['POST', '/api/claims', { name: '' }, 400],
    ['POST', '/api/claims', { name: '   ' }, 400],
    ['POST', '/api/claims', { name: 'a\u001b[31m' }, 400],
    ['POST', '/api/claims', { name: 'x'.repeat(101) }, 400],
    ['POST', '/api/claims', { name: 'x', accountId: 'y' }, 400],
    ['POST', '/api/claims', { name: 'x', deviceId: '__proto__' }, 404],
    ['POST', '/api/claims/label', { code: 'nonsense', name: 'x' }, 400],
    ['POST', '/api/claims/label', { code: 'x'.repeat(1001), name: 'x' }, 400],
    ['DELETE', '/api/claims/__proto__', undefined, 404],
    ['POST', `${device}/play`, { extra: 1 }, 400],
    ['GET', '/api/devices/__proto__', undefined, 404],
    ['GET', `/api/devices/${'x'.repeat(300)}`, undefined, 400],
    ['GET', '/api/devices/cam-%00', undefined, 404],
    ['GET', '/nothing', undefined, 404],
    ['GET', '/../../etc/passwd', undefined, 404],
  ];
  for (const [method, path, body, status] of cases) {
    const response = await house.ask(method, path, token, body);
    const text = await response.text();
    t.equal(response.status, status, `${method} ${path}: ${text}`);
    const answer: Record<string, unknown> = JSON.parse(text);
    t.strictSame(Object.keys(answer), ['code', 'message', 'retry']);
    t.notMatch(text, /\.ts:|node_modules|\bat /);
  }
  const broken = await fetch(`${house.url}/api/login`, {
    method: 'POST',
    body: '{"email":',
    headers: { 'content-type': 'application/json' },
  });
  t.equal(broken.status, 400);
  const large = { email: 'x', password: 'y'.repeat(70_000) };
  t.equal((await house.ask('POST', '/api/login', undefined, large)).status, 400);
});

t.test('it does not listen beyond loopback without a TLS proxy', async (t) => {
  const house = await openHouse(t);
  const open = (http: object): Portal =>
    new Portal({
      ...house.installation,
      config: { ...checkServerConfig({}, 'test').http, port: 0, ...http },
      claimLimits: checkServerConfig({}, 'test').claims,
      nowUs: house.nowUs,
      log: pino({ level: 'silent' }),
      isConnected: () => false,
      command: async () => false,
    });
  for (const http of [{ host: '0.0.0.0' }, { host: '0.0.0.0', publicUrl: 'http://x.example' }])
    await t.rejects(open(http).listen(), { code: 'CONFIG_INVALID' });
  const proxied = open({ host: '127.0.0.1', publicUrl: 'https://cam.example/' });
  t.equal((await proxied.listen()).url, 'https://cam.example');
  await proxied.run(AbortSignal.abort());
});
