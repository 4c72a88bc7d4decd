// The figures over HTTP, from a real index: what they say, and whom they never name.
import { Readable } from 'node:stream';
import { pino } from 'pino';
import t from 'tap';
import { FleetVitals } from '../../../broker/metrics/fleet-vitals.ts';
import { Metrics } from '../../../broker/metrics/metrics.ts';
import { Overview } from '../../../broker/store/overview.ts';
import { checkServerConfig } from '../../../proto/server-config.ts';
import { healthOf, reportedOf } from '../../proto/tellings.ts';
import { storeHouse, storeSegment } from '../store/house.ts';

const DAY_US = 86_400e6;
const figures = {
  connections: { device: 2, quarantine: 1 },
  messages: { segment: 7 },
  bytes: 1234,
  refusals: { REVOKED: 3 },
  claims: { issued: 4, CLAIM_REFUSED: 5 },
};

async function opened(t: Parameters<typeof storeHouse>[0]) {
  const house = await storeHouse(t);
  const nowUs = Date.now() * 1000;
  const fleet = new FleetVitals({ isConnected: () => true, mayKnow: () => true });
  const metrics = new Metrics({
    config: { ...checkServerConfig({}, 'test').metrics, port: 0 },
    overview: new Overview(house.store.index),
    claimFailures: 5,
    fleet,
    figures: () => figures,
    nowUs: () => nowUs,
    log: pino({ level: 'silent' }),
  });
  const url = await metrics.listen();
  const abort = new AbortController();
  const running = metrics.run(abort.signal);
  t.teardown(async () => {
    abort.abort();
    await running;
  });
  return { house, url, nowUs, fleet };
}

t.test('it says how much there is of what', async (t) => {
  const { house, url, nowUs } = await opened(t);
  const { store, deviceId, accountId } = house;
  await storeSegment(house, { sequence: 0 });
  const ends = [-1, 3 * DAY_US, 20 * DAY_US, 45 * DAY_US, 90 * DAY_US];
  for (const [number, left] of ends.entries()) {
    const device = await store.devices.byId(deviceId);
    if (!device) throw new Error('no device');
    const id = `cam-${'abcdef'[number]?.repeat(16)}`;
    await store.devices.add({ ...device, device_id: id, state: 'configured' });
    await store.certificates.add({
      serial: `0${number}`,
      device_id: id,
      fingerprint: `f${number}`,
      key_sha256: `k${number}`,
      pem: '',
      issued_at_us: 0,
      not_after_us: nowUs + left,
      used_at_us: null,
      revoked_at_us: null,
    });
  }
  await store.boards.add([
    {
      serial: 'SECRET-SERIAL-1',
      model: 'Model X',
      key_sha256: 'aa',
      enrolled_at_us: 1,
      last_seen_at_us: null,
      state: 'waiting',
      account_id: null,
      name: null,
      device_id: null,
    },
  ]);
  const claim = {
    account_id: accountId,
    name: 'secret name',
    sealed_proof_key: new Uint8Array(1),
    created_at_us: nowUs,
    expires_at_us: nowUs + 1e6,
    failures: 0,
    last_failure: null,
    device_id: null,
    is_readmission: 0,
    key_sha256: null,
    used_at_us: null,
    cancelled_at_us: null,
  };
  await store.claims.add({ ...claim, claim_id: 'open' });
  await store.claims.add({ ...claim, claim_id: 'over', expires_at_us: nowUs });
  await store.claims.add({ ...claim, claim_id: 'void', failures: 5 });
  await store.claims.add({ ...claim, claim_id: 'done', used_at_us: 1 });
  const response = await fetch(url);
  t.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  for (const line of [
    'lenscap_devices{state="configured"} 5',
    'lenscap_devices{state="revoked"} 0',
    'lenscap_boards{state="waiting"} 1',
    'lenscap_claims_open 1',
    'lenscap_certificates{remaining_days="expired"} 1',
    'lenscap_certificates{remaining_days="0-7"} 1',
    'lenscap_certificates{remaining_days="7-30"} 1',
    'lenscap_certificates{remaining_days="30-60"} 1',
    'lenscap_certificates{remaining_days="60-"} 1',
    'lenscap_stored_segments 1',
    'lenscap_stored_bytes 100',
    'lenscap_connections{kind="device"} 2',
    'lenscap_messages_total{noun="segment"} 7',
    'lenscap_message_bytes_total 1234',
    'lenscap_refusals_total{code="REVOKED"} 3',
    'lenscap_claim_attempts_total{result="issued"} 4',
    'lenscap_claim_attempts_total{result="CLAIM_REFUSED"} 5',
  ])
    t.ok(text.split('\n').includes(line), line);
  t.match(text, /^lenscap_event_loop_delay_seconds\{quantile="0\.99"\} [\d.e-]+$/m);
  t.match(text, /^lenscap_resident_bytes \d{7,}$/m);
  for (const secret of [deviceId, accountId, 'SECRET', 'secret', 'hall', '@', 'cam-', 'claim-'])
    t.notOk(text.includes(secret), `${secret} is not named`);
  for (const [, name] of text.matchAll(/^# TYPE (\S+)/gm)) t.match(name, /^lenscap_/);
  const again = await (await fetch(url)).text();
  t.ok(again.includes('lenscap_messages_total{noun="segment"} 7'), 'asking counts nothing twice');
});

t.test('it answers /metrics to GET and nothing else', async (t) => {
  const { url } = await opened(t);
  const statuses = await Promise.all([
    ...Array.from({ length: 8 }, () => fetch(url)),
    fetch(`${url}?x=1`),
    fetch(new URL('/', url)),
    fetch(new URL('/metrics/..%2f', url)),
    fetch(url, { method: 'POST', body: Readable.toWeb(Readable.from(['x'])), duplex: 'half' }),
  ]);
  t.strictSame(
    statuses.map(({ status }) => status),
    [...Array.from({ length: 9 }, () => 200), 404, 404, 405],
  );
});

t.test('it says how the fleet is, and of nobody who it is', async (t) => {
  const { house, url, fleet } = await opened(t);
  const { store, deviceId } = house;
  const row = { device_id: deviceId, at_us: 1, actor: 'x', how: 'api', sealed: new Uint8Array(1) };
  await store.index
    .insertInto('config_versions')
    .values({ ...row, version: 2 })
    .execute();
  const tell = (id: string): void => {
    fleet.note(id, { noun: 'health', message: healthOf(1) });
    fleet.note(id, { noun: 'reported', message: reportedOf(1) });
  };
  for (const id of ['one', 'two', 'three', deviceId]) tell(id);
  const few = await (await fetch(url)).text();
  t.same(few.match(/^lenscap_fleet_.*$/gm), ['lenscap_fleet_reporting 4'], 'of so few only that');
  tell('five');
  const text = await (await fetch(url)).text();
  for (const line of [
    'lenscap_fleet_reporting 5',
    'lenscap_fleet_temperature{celsius="40-60"} 5',
    'lenscap_fleet_clock_offset{ms="-100"} 5',
    'lenscap_fleet_spools{state="on_flash"} 5',
    'lenscap_fleet_spools{state="memory_only"} 0',
    'lenscap_fleet_spool_bytes 25000',
    'lenscap_fleet_configurations{state="applied"} 5',
    'lenscap_fleet_configurations{state="drift"} 5',
    'lenscap_fleet_frames_dropped_total 0',
  ])
    t.match(text, `${line}\n`);
  t.notMatch(text, deviceId);
  t.notMatch(text, 'planted');
});

t.test('a port that is taken is named by its setting', async (t) => {
  const { house, url } = await opened(t);
  const other = new Metrics({
    config: { host: '127.0.0.1', port: Number(new URL(url).port) },
    overview: new Overview(house.store.index),
    claimFailures: 5,
    fleet: new FleetVitals({ isConnected: () => true, mayKnow: () => true }),
    figures: () => figures,
    nowUs: () => 0,
    log: pino({ level: 'silent' }),
  });
  await t.rejects(other.listen(), { code: 'CONFIG_INVALID', message: /metrics\/port/ });
});
