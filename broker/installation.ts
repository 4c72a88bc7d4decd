// A data folder, opened: store, authority, consent key and policy, made on first use. The server and
// every verb of the operator begin here; one of them at a time may make it.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LenscapError } from '../proto/errors.ts';
import { checkServerConfig, type ServerConfig } from '../proto/server-config.ts';
import { readDocument } from '../proto/validate.ts';
import { Consent } from './consent/consent.ts';
import { ConsentGate } from './consent/gate.ts';
import { defaultPolicyBytes } from './consent/policy.ts';
import { Authority } from './fleet/authority.ts';
import { makeFolder, readSecret, writeFileDurably } from './store/durable.ts';
import { takeLock } from './store/lock.ts';
import { isNewInstallation, openStore, type Store } from './store/store.ts';

const INIT_WAIT_MS = 15_000;

export interface Installation {
  readonly folder: string;
  readonly store: Store;
  readonly authority: Authority;
  readonly gate: ConsentGate;
  readonly consent: Consent;
  readonly consentPublicKey: KeyObject;
  readonly nowUs: () => number;
  /** Whom consent tells of each change. */
  readonly listeners: Set<(deviceId: string) => void>;
}

/** Opens the data folder; the first time makes keys, authority, index and the default policy. */
export async function openInstallation(
  folder: string,
  config: ServerConfig,
): Promise<Installation> {
  await makeFolder(join(folder, 'run'));
  const lock = takeLock(join(folder, 'run', 'init.lock'), INIT_WAIT_MS);
  try {
    const nowUs = (): number => Date.now() * 1000;
    // The index comes last: while there is none, a first start that broke off is begun again.
    const isNew = isNewInstallation(folder);
    const authority = await Authority.open(join(folder, 'ca'), Date.now, isNew);
    await makeFolder(join(folder, 'keys'));
    const key = await openConsentKey(join(folder, 'keys', 'consent.key'), isNew);
    const store = await openStore(folder, nowUs);
    const gate = new ConsentGate();
    const listeners = new Set<(deviceId: string) => void>();
    const consent = new Consent({
      rows: store.consent,
      devices: store.devices,
      gate,
      key,
      leaseS: config.consent.leaseS,
      nowUs,
      changed: (deviceId) => {
        for (const listener of listeners) listener(deviceId);
      },
    });
    if (!(await store.consent.policy()))
      await consent.publish(defaultPolicyBytes(), { actor: 'operator', how: 'first start' });
    const consentPublicKey = createPublicKey(key);
    return { folder, store, authority, gate, consent, consentPublicKey, nowUs, listeners };
  } finally {
    lock.release();
  }
}

/**
 * The configuration of a data folder: `file`, or `config.json` in it, or defaults.
 * @throws CONFIG_INVALID with every fault.
 */
export async function readServerConfig(
  folder: string,
  file: string | undefined,
): Promise<ServerConfig> {
  if (file !== undefined) return readDocument(file, 'CONFIG_INVALID', checkServerConfig);
  const own = join(folder, 'config.json');
  return existsSync(own)
    ? readDocument(own, 'CONFIG_INVALID', checkServerConfig)
    : checkServerConfig({}, 'defaults');
}

async function openConsentKey(path: string, isNew: boolean): Promise<KeyObject> {
  const pem = (await readSecret(path, isNew))?.toString();
  if (pem === undefined) {
    const { privateKey } = generateKeyPairSync('ed25519');
    await writeFileDurably(path, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
    return privateKey;
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new LenscapError('STORE_CORRUPT', `${path} is damaged; restore it from a backup`, {
      cause: error,
    });
  }
}
