// Events, alerts and snapshots by the owner's API: seen, taken along, erased, and asked for.
import t from 'tap';
import type { PortalDeps } from '../../../broker/portal/portal.ts';
import { newId } from '../../../broker/store/ids.ts';
import { decodeCommand } from '../../../proto/snapshot.ts';
import { eventOf, storeSnapshot } from '../store/happened.ts';
import { openHouse } from './house.ts';
import { cutSmall, storeCut } from './media.ts';
import { iso } from './recorded.ts';

const SCOPES = ['video', 'snapshot'] as const;

/** Pictures are granted, and what `command` says happens to commands. */
async function ready(
  t: Parameters<typeof openHouse>[0],
  settings: Parameters<typeof openHouse>[1],
) {
  const house = await openHouse(t, settings);
  const { store, consent, anna } = house;
  const { sha256 } = await consent.policy();
  const by = { actor: anna.accountId, how: 'test' };
  const { epoch } = await consent.grant(anna.device, SCOPES, sha256, by);
  const deviceId = anna.device.device_id;
  const owned = { store, accountId: anna.accountId, deviceId };
  const token = await house.login(anna);
  const bert = await house.login(house.bert);
  return { house, owned, epoch, token, bert, path: `/api/devices/${deviceId}` };
}

t.test('events are listed page by page, by kind and as alerts, and deleted', async (t) => {
  const { house, owned, epoch, token, bert, path } = await ready(t, {});
  const kinds = await house.json('PUT', `${path}/alerts`, token, { kinds: ['moved'] });
  t.same(kinds, { kinds: ['moved'] });
  t.same(await house.json('GET', `${path}/alerts`, token), kinds);
  t.equal((await house.ask('PUT', `${path}/alerts`, token, { kinds: ['rain'] })).status, 400);
  const atUs = house.nowUs();
  const rows = [1, 2, 3, 4, 5].map((n) =>
    eventOf(owned, {
      ...{ kind: n === 3 ? 'moved' : 'motion', start_at_us: atUs + n, epoch },
      ...{ received_at_us: atUs, detail: `no ${n}` },
    }),
  );
  t.same(await owned.store.commit(rows), Array(5).fill('stored'));
  const details: string[] = [];
  for (let cursor = '', pages = 0; pages < 9; pages++) {
    const query = cursor === '' ? 'limit=2' : `limit=2&cursor=${cursor}`;
    const page = await house.json<{ events: { detail: string }[]; next: string | null }>(
      'GET',
      `${path}/events?${query}`,
      token,
    );
    details.push(...page.events.map(({ detail }) => detail));
    if (page.next === null) break;
    cursor = page.next;
  }
  t.same(details, ['no 1', 'no 2', 'no 3', 'no 4', 'no 5'], 'each once');
  const moved = [{ kind: 'moved', alert: true, detail: 'no 3', lasts: false, epoch }];
  t.match(await house.json('GET', `${path}/events?kind=moved`, token), { events: moved });
  const alerts = await house.json<{ events: object[] }>('GET', `${path}/events?alert=true`, token);
  t.match(alerts, { events: moved });
  t.equal(alerts.events.length, 1);
  for (const query of [
    'kind=rain',
    'cursor=x',
    'limit=0',
    'from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z',
  ])
    t.equal((await house.ask('GET', `${path}/events?${query}`, token)).status, 400, query);
  for (const [method, what] of [
    ['GET', 'events'],
    ['GET', 'alerts'],
    ['GET', 'snapshots'],
    ['POST', 'snapshots'],
  ] as const) {
    t.equal((await house.ask(method, `${path}/${what}`, bert)).status, 404, 'of another owner');
    t.equal((await house.ask(method, `${path}/${what}`)).status, 401);
  }
  const all = `from=${iso(atUs - 1e6)}&to=${iso(atUs + 1e6)}`;
  t.same(await house.json('DELETE', `${path}/events?${all}`, token), { deleted: 5 });
  t.same(await house.json('GET', `${path}/events`, token), { events: [], next: null });
});

t.test('a snapshot is shown as it was taken, to its owner, and deleted for good', async (t) => {
  const { house, owned, epoch, token, bert, path } = await ready(t, {});
  const start_at_us = house.nowUs();
  const { row, media, outcome } = await storeSnapshot(owned, { start_at_us, epoch });
  t.equal(outcome, 'stored');
  const { snapshots } = await house.json<{ snapshots: object[] }>(
    'GET',
    `${path}/snapshots`,
    token,
  );
  const seen = { snapshotId: row.snapshot_id, bytes: 100, width: 64, cause: 'interval', epoch };
  t.match(snapshots, [{ ...seen, sha256: row.sha256, causeId: null }]);
  const one = `${path}/snapshots/${row.snapshot_id}`;
  const picture = await house.ask('GET', one, token);
  t.same(Buffer.from(await picture.arrayBuffer()), media);
  t.match(Object.fromEntries(picture.headers), {
    'content-type': 'image/jpeg',
    'cache-control': 'private, no-store',
    'x-content-type-options': 'nosniff',
    'content-disposition': `attachment; filename="${row.snapshot_id}.jpg"`,
  });
  t.equal((await house.ask('GET', one, bert)).status, 404);
  t.equal((await house.ask('DELETE', one, bert)).status, 404);
  t.equal((await house.ask('GET', `${path}/snapshots/${newId()}`, token)).status, 404);
  t.equal((await house.ask('GET', `${path}/snapshots/..%2Fx`, token)).status, 400);
  t.same(await house.json('DELETE', one, token), { deleted: 1 });
  t.equal((await house.ask('GET', one, token)).status, 404);
  await storeSnapshot(owned, { start_at_us, epoch });
  const all = `from=${iso(start_at_us - 1e6)}&to=${iso(start_at_us + 1e6)}`;
  t.same(await house.json('DELETE', `${path}/snapshots?${all}`, token), { deleted: 1 });
});

t.test('a damaged picture never gets out', async (t) => {
  const { house, owned, epoch, token, path } = await ready(t, {});
  const { row } = await storeSnapshot(owned, { epoch });
  await owned.store.index
    .updateTable('snapshots')
    .set({ sha256: 'f'.repeat(64) })
    .execute();
  const answer = await house.ask('GET', `${path}/snapshots/${row.snapshot_id}`, token);
  t.equal(answer.status, 500);
  t.match(await answer.json(), { code: 'STORE_CORRUPT' });
});

t.test('a camera is asked for a picture, and the answer is the one it took', async (t) => {
  const asked: string[] = [];
  let camera: PortalDeps['command'] = async () => false;
  const { house, owned, epoch, token, path } = await ready(t, {
    http: { snapshotsPerMinute: 4 },
    command: (deviceId, payload) => camera(deviceId, payload),
  });
  const ask = (): Promise<Response> => house.ask('POST', `${path}/snapshots`, token);
  const offline = await ask();
  t.equal(offline.status, 503);
  t.match(await offline.json(), { code: 'DEVICE_OFFLINE', retry: true });
  camera = async (deviceId, payload) => {
    const { commandId, kind } = decodeCommand(payload);
    asked.push(`${deviceId} ${kind}`);
    const received_at_us = house.nowUs();
    await storeSnapshot(owned, { epoch, received_at_us });
    await storeSnapshot(owned, { epoch, cause: 'requested', cause_id: commandId, received_at_us });
    return true;
  };
  const taken = await ask();
  t.equal(taken.status, 200);
  t.match(await taken.json(), { cause: 'requested', causeId: /^[0-9a-f]{32}$/ });
  t.same(asked, [`${owned.deviceId} take_snapshot`]);
  await house.consent.withdraw(house.anna.device, ['snapshot'], { actor: 'test', how: 'test' });
  const closed = await ask();
  t.equal(closed.status, 403);
  t.match(await closed.json(), { code: 'CONSENT_MISSING' });
  t.equal(asked.length, 1, 'the camera was not asked');
  await ask();
  t.equal((await ask()).status, 429, 'not as often as one likes');
});

t.test(
  'what happened is taken along in the manifest, also where nothing was recorded',
  async (t) => {
    const { house, owned, epoch, token, path } = await ready(t, {});
    const startAtUs = Math.floor(house.nowUs() / 1e6) * 1e6 - 60e6;
    const at = { start_at_us: startAtUs + 1e6, epoch, received_at_us: startAtUs };
    const { row } = await storeSnapshot(owned, at);
    await owned.store.commit([eventOf(owned, at), eventOf(owned, { ...at, start_at_us: 1 })]);
    const url = `${path}/export/manifest?from=${iso(startAtUs)}&to=${iso(startAtUs + 30e6)}`;
    const held = {
      events: [{ kind: 'motion', epoch }],
      snapshots: [{ snapshotId: row.snapshot_id, sha256: row.sha256 }],
      consent: [{ epoch }],
    };
    const alone = await house.json<{ pieces: object[]; events: object[] }>('GET', url, token);
    t.match(alone, held);
    t.same([alone.pieces.length, alone.events.length], [0, 1]);
    const { store, anna } = house;
    await storeCut(await cutSmall(house.folder), { store, device: anna.device, epoch, startAtUs });
    t.match(await house.json('GET', url, token), { ...held, pieces: [{ sequence: 0 }] });
  },
);
