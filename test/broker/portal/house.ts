// A real portal over a real store in a test folder: two owners, a camera each, consent given.
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Consent } from '../../../broker/consent/consent.ts';
import { type Installation, openInstallation } from '../../../broker/installation.ts';
import { hashPassword } from '../../../broker/portal/passwords.ts';
import { Portal, type PortalDeps } from '../../../broker/portal/portal.ts';
import type { DeviceRow } from '../../../broker/store/devices.ts';
import { newDeviceId, newId } from '../../../broker/store/ids.ts';
import type { Store } from '../../../broker/store/store.ts';
import type { Telling } from '../../../broker/store/told.ts';
import { checkServerConfig, type ServerConfig } from '../../../proto/server-config.ts';

export const PASSWORD = 'correct horse battery';

export interface Owner {
  readonly email: string;
  readonly accountId: string;
  readonly device: DeviceRow;
  /** Epoch in force: video and audio are granted. */
  readonly epoch: number;
}

export interface House {
  /** For files of the test; `data/` in it is the store's. */
  readonly folder: string;
  readonly store: Store;
  readonly installation: Installation;
  readonly consent: Consent;
  readonly publicKey: KeyObject;
  readonly url: string;
  readonly anna: Owner;
  readonly bert: Owner;
  /** Moves the portal's clock ahead. */
  advance(us: number): void;
  nowUs(): number;
  login(owner: Owner): Promise<string>;
  /** A request as `token`; no token = none. */
  ask(method: string, path: string, token?: string, body?: unknown): Promise<Response>;
  /** The same for answers of JSON. */
  json<T>(method: string, path: string, token?: string, body?: unknown): Promise<T>;
}

interface Test {
  testdir(): string;
  teardown(fn: () => unknown): void;
}

/** What is not default in the configuration. */
interface Settings {
  readonly http?: Partial<ServerConfig['http']>;
  readonly claims?: Partial<ServerConfig['claims']>;
  /** What becomes of a command to a camera; else none is connected. */
  readonly command?: PortalDeps['command'];
}

export async function openHouse(
  t: Test,
  { http, claims, command = async () => false }: Settings = {},
): Promise<House> {
  let aheadUs = 0;
  const folder = t.testdir();
  const settings = checkServerConfig({ http: { port: 0, ...http }, claims }, 'test');
  const nowMs = (): number => Date.now() + aheadUs / 1000;
  const installation = await openInstallation(join(folder, 'data'), settings, nowMs);
  const { store, consent, consentPublicKey: publicKey, nowUs } = installation;
  const anna = await addOwner({ store, consent, nowUs }, 'anna@example.org', 'Front door');
  const bert = await addOwner({ store, consent, nowUs }, 'bert@example.org', 'Garden');
  const config = settings.http;
  const portal = new Portal({
    ...installation,
    config,
    claimLimits: settings.claims,
    log: pino({ level: 'silent' }),
    isConnected: (deviceId) => deviceId === anna.device.device_id,
    command,
  });
  const { url, port } = await portal.listen();
  const base = config.publicUrl === null ? url : `http://127.0.0.1:${port}`;
  const abort = new AbortController();
  const running = portal.run(abort.signal);
  t.teardown(async () => {
    abort.abort();
    await running;
    await store.close();
  });
  const ask: House['ask'] = (method, path, token, body) =>
    fetch(path.startsWith('http') ? path : `${base}${path}`, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const json = async <T>(
    method: string,
    path: string,
    token?: string,
    body?: unknown,
  ): Promise<T> => {
    const response = await ask(method, path, token, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    const found: T = JSON.parse(text);
    return found;
  };
  const login = async ({ email }: Owner): Promise<string> => {
    const body = { email, password: PASSWORD };
    return (await json<{ token: string }>('POST', '/api/login', undefined, body)).token;
  };
  const advance = (us: number): void => {
    aheadUs += us;
  };
  return {
    folder,
    store,
    installation,
    consent,
    publicKey,
    url: base,
    anna,
    bert,
    advance,
    nowUs,
    login,
    ask,
    json,
  };
}

/** The camera tells of itself, under the consent in force. */
export async function tell(
  { store, consent, nowUs }: Pick<House, 'store' | 'consent' | 'nowUs'>,
  device: DeviceRow,
  telling: Telling,
): Promise<void> {
  const { epoch: asOf } = await consent.infoInForce(device.device_id);
  const noted = await store.told.note(device, telling, { asOf, nowUs: nowUs() });
  if (noted !== 'stored') throw new Error(`it is ${noted}`);
}

let hash: Promise<string> | undefined;

async function addOwner(
  { store, consent, nowUs }: Pick<House, 'store' | 'consent' | 'nowUs'>,
  email: string,
  name: string,
): Promise<Owner> {
  hash ??= hashPassword(PASSWORD);
  const accountId = newId();
  await store.accounts.add({
    account_id: accountId,
    email,
    password_hash: await hash,
    created_at_us: nowUs(),
  });
  await store.keys.makeAccount(accountId);
  const device: DeviceRow = {
    device_id: newDeviceId(),
    account_id: accountId,
    name,
    created_at_us: nowUs(),
    last_seen_at_us: null,
    epoch: 0,
    applied_epoch: 0,
    applied_at_us: null,
    state: 'claimed',
    state_at_us: nowUs(),
    state_reason: null,
    released_at_us: null,
    serial: null,
  };
  await store.devices.add(device);
  await consent.assign(device, { actor: 'operator', how: 'test' });
  const { sha256 } = await consent.policy();
  const by = { actor: accountId, how: 'test' };
  const { epoch } = await consent.grant(device, ['video', 'audio'], sha256, by);
  return { email, accountId, device, epoch };
}
