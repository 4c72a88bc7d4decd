// The operator's verbs, besides serving. None of them shows media or grants consent.
import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LenscapError } from '../proto/errors.ts';
import type { ServerConfig } from '../proto/server-config.ts';
import { chainFaults, grantedFaults } from './consent/ledger.ts';
import { enrol } from './fleet/enrolment.ts';
import { type Installation, openInstallation } from './installation.ts';
import { hashPassword } from './portal/passwords.ts';
import type { ServerAddress } from './serve.ts';
import { writeFileDurably } from './store/durable.ts';
import { newId } from './store/ids.ts';
import { type Report, verifyMedia } from './store/verify.ts';

const EMAIL = /^[^@\s]{1,64}@[^@\s]{1,190}$/;

/** Opens the data folder for one verb and closes it again; `mayMake`: also where there is none. */
export async function withInstallation<T>(
  folder: string,
  config: ServerConfig,
  use: (installation: Installation) => Promise<T>,
  { mayMake = false } = {},
): Promise<T> {
  if (!mayMake && !existsSync(join(folder, 'index.db')))
    throw new LenscapError('NOT_FOUND', `no server's data in ${folder}; is the folder right?`);
  const installation = await openInstallation(folder, config);
  try {
    return await use(installation);
  } finally {
    await installation.store.close();
  }
}

/** Makes an owner's account and its key; returns its id. @throws CONFLICT, REQUEST_INVALID. */
export async function addAccount(
  { store, nowUs }: Installation,
  email: string,
  password: string,
): Promise<string> {
  if (!EMAIL.test(email)) throw new LenscapError('REQUEST_INVALID', `no e-mail address: ${email}`);
  const normalized = email.toLowerCase();
  const passwordHash = await hashPassword(password);
  const accountId = newId();
  await store.keys.makeAccount(accountId);
  try {
    await store.accounts.add({
      account_id: accountId,
      email: normalized,
      password_hash: passwordHash,
      created_at_us: nowUs(),
    });
  } catch (error) {
    await store.keys.destroyAccount(accountId);
    throw error;
  }
  return accountId;
}

/** Makes a device of an account and writes its bundle, mode 0600. Returns the device id. */
export async function addDevice(
  installation: Installation,
  config: ServerConfig,
  request: {
    readonly email: string;
    readonly name: string;
    readonly out: string;
    readonly server: string | undefined;
  },
): Promise<string> {
  const account = await installation.store.accounts.byEmail(request.email.toLowerCase());
  if (!account) throw new LenscapError('NOT_FOUND', `no account of ${request.email}; add it first`);
  const bundle = await enrol(
    { ...installation.store, ...installation, certificateDays: config.certificates.deviceDays },
    {
      accountId: account.account_id,
      name: request.name,
      server: await addressFor(installation.folder, config, request.server),
    },
  );
  await writeFileDurably(request.out, `${JSON.stringify(bundle, null, 2)}\n`);
  return bundle.deviceId;
}

/** Where the device is to connect: as said, or as configured, with the port of the running server. */
async function addressFor(
  folder: string,
  config: ServerConfig,
  said: string | undefined,
): Promise<{ host: string; port: number }> {
  const match = said === undefined ? null : /^(.+):(\d{1,5})$/.exec(said);
  if (said !== undefined && !match)
    throw new LenscapError('REQUEST_INVALID', `--server is HOST:PORT, not ${said}`);
  if (match && Number(match[2]) > 65535)
    throw new LenscapError('REQUEST_INVALID', `--server: there is no port ${match[2]}`);
  if (match) return { host: (match[1] ?? '').replace(/^\[(.*)\]$/, '$1'), port: Number(match[2]) };
  const running = await runningServer(folder);
  const port = running?.mqttPort ?? config.mqtt.port;
  if (port === 0)
    throw new LenscapError(
      'REQUEST_INVALID',
      'the port is not known; start the server or say --server HOST:PORT',
    );
  return { host: config.mqtt.publicHost, port };
}

/** The address of the server that runs on this folder, if one does. */
export async function runningServer(folder: string): Promise<ServerAddress | undefined> {
  const text = await readFile(join(folder, 'run', 'server.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const address: ServerAddress = JSON.parse(text);
  return address;
}

export interface DeviceListing {
  readonly deviceId: string;
  readonly name: string;
  readonly account: string;
  readonly createdAt: string;
  readonly lastSeenAt: string | null;
  readonly certificateEnd: string | null;
  readonly isRevoked: boolean;
}

/** Devices as the operator may know them: no consent, no media. */
export async function listDevices({ store }: Installation): Promise<DeviceListing[]> {
  const certificates = await store.devices.certificates();
  return (await store.devices.all()).map((device) => {
    const own = certificates.filter(({ device_id }) => device_id === device.device_id);
    const valid = own.filter(({ revoked_at_us }) => revoked_at_us === null);
    const end = Math.max(...valid.map(({ not_after_us }) => not_after_us));
    return {
      deviceId: device.device_id,
      name: device.name,
      account: device.email,
      createdAt: iso(device.created_at_us),
      lastSeenAt: device.last_seen_at_us === null ? null : iso(device.last_seen_at_us),
      certificateEnd: valid.length === 0 ? null : iso(end),
      isRevoked: own.length > 0 && valid.length === 0,
    };
  });
}

/** Revokes the certificates of a device; a running server cuts it off within a second. */
export async function revokeDevice(
  { store, nowUs }: Installation,
  deviceId: string,
): Promise<number> {
  if (!(await store.devices.byId(deviceId)))
    throw new LenscapError('NOT_FOUND', `no device ${deviceId}`);
  return store.devices.revoke(deviceId, nowUs());
}

/** Everything that is stored against itself: objects, index, ledger. */
export async function verify(
  { store, consentPublicKey }: Installation,
  progress: (segments: number) => void,
): Promise<Report> {
  const report = await verifyMedia(store, progress);
  const faults = [...report.faults];
  for (const { version, document, sha256 } of await store.consent.policies())
    if (hash('sha256', document) !== sha256) faults.push(`policy ${version}: its text was changed`);
  for (const device of await store.devices.all()) {
    const rows = await store.consent.log(device.device_id);
    const { granted } = await store.consent.standing(device.device_id);
    for (const fault of [
      ...chainFaults(rows, consentPublicKey, device.epoch),
      ...grantedFaults(rows, granted),
    ])
      faults.push(`ledger of ${device.device_id}: ${fault}`);
  }
  return { ...report, faults };
}

const iso = (atUs: number): string => new Date(atUs / 1000).toISOString();
