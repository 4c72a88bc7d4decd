// The operator's verbs, besides serving. None of them shows media or grants consent.
import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LenscapError } from '../proto/errors.ts';
import type { ServerConfig } from '../proto/server-config.ts';
import { chainFaults, grantedFaults } from './consent/ledger.ts';
import { enrol } from './fleet/enrolment.ts';
import { isState, MAY } from './fleet/states.ts';
import { deviceAddress, type Installation, openInstallation } from './installation.ts';
import { certificateFaults } from './operator/certificate-faults.ts';
import { fleetFaults } from './operator/fleet-faults.ts';
import { hashPassword } from './portal/passwords.ts';
import { writeFileDurably } from './store/durable.ts';
import { linesOf, type Report } from './store/findings.ts';
import { newId } from './store/ids.ts';
import { type Lock, takeLock } from './store/lock.ts';
import { Overview } from './store/overview.ts';
import { repair } from './store/repair.ts';
import { inspect } from './store/verify.ts';

export { revokeDevice } from './operator/devices.ts';

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
  const bundle = await enrol(installation, {
    accountId: account.account_id,
    name: request.name,
    server: await addressFor(installation.folder, config, request.server),
  });
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
  return deviceAddress(folder, config);
}

/** What verify is to do besides telling. */
export interface VerifyOptions {
  /** Mend what is safe to mend; no server may run meanwhile. */
  readonly repair: boolean;
  /** And note as lost what only a backup could bring back. */
  readonly acceptLoss: boolean;
}

/**
 * Everything that is stored against itself: objects, index, ledger, fleet.
 * @throws STORE_LOCKED when it is to be repaired while a server runs on it.
 */
export async function verify(
  installation: Installation,
  progress: (segments: number) => void,
  options: VerifyOptions = { repair: false, acceptLoss: false },
): Promise<Report> {
  const lock = options.repair ? lockOf(installation) : undefined;
  try {
    const { store, folder } = installation;
    const { findings, ...counts } = await inspect(store, folder, progress);
    const repaired = lock && (await repair(store, findings, { ...options, nowMs: Date.now() }));
    const lines = linesOf(repaired?.remaining ?? findings);
    const isReadable = !findings.some(({ kind }) => kind === 'index_damaged');
    const faults = [...lines.faults, ...(isReadable ? await recordFaults(installation) : [])];
    return { ...counts, ...lines, faults, mended: repaired?.mended ?? [] };
  } finally {
    lock?.release();
  }
}

function lockOf({ folder }: Installation): Lock {
  try {
    return takeLock(join(folder, 'run', 'serve.lock'), 0);
  } catch (error) {
    const detail = 'a server runs on it; stop it before a repair';
    throw new LenscapError('STORE_LOCKED', detail, { cause: error });
  }
}

/** What is said of the fleet, of policies and of consent. */
async function recordFaults({ store, consentPublicKey }: Installation): Promise<string[]> {
  const fleet = await new Overview(store.index).fleet();
  const faults = [...fleetFaults(fleet), ...certificateFaults(fleet.certificates)];
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
    if (granted.size > 0 && isState(device.state) && !MAY[device.state].beGranted)
      faults.push(`device ${device.device_id}: it is ${device.state}, and something is granted`);
  }
  return faults;
}
