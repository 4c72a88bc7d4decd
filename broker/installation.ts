// A data folder, opened: store, authority, consent key and policy, made on first use. The server and
// every verb of the operator begin here; one of them at a time may make it.
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LenscapError } from '../proto/errors.ts';
import { checkServerConfig, type ServerConfig } from '../proto/server-config.ts';
import { readDocument } from '../proto/validate.ts';
import { Consent } from './consent/consent.ts';
import { ConsentGate } from './consent/gate.ts';
import { defaultPolicyBytes } from './consent/policy.ts';
import { Authority } from './fleet/authority.ts';
import { Boards } from './fleet/boards.ts';
import { Certificates } from './fleet/certificates.ts';
import { Claims } from './fleet/claims.ts';
import { Configuration } from './fleet/configuration.ts';
import { Lifecycle } from './fleet/lifecycle.ts';
import { Rollouts } from './fleet/rollouts.ts';
import { makeFolder, readSecret, writeFileDurably } from './store/durable.ts';
import { takeLock } from './store/lock.ts';
import { isNewInstallation, openStore, type Store } from './store/store.ts';
import type { ToldListener } from './store/told.ts';

const INIT_WAIT_MS = 15_000;

export interface Installation {
  readonly folder: string;
  readonly store: Store;
  readonly authority: Authority;
  readonly gate: ConsentGate;
  readonly consent: Consent;
  readonly consentPublicKey: KeyObject;
  readonly certificates: Certificates;
  readonly claims: Claims;
  readonly lifecycle: Lifecycle;
  readonly boards: Boards;
  readonly configuration: Configuration;
  readonly rollouts: Rollouts;
  readonly nowUs: () => number;
  /** Who is told of each change of a device: of its consent, its state, its certificates. */
  readonly listeners: Set<(deviceId: string) => void>;
  /** Who is told what a device told of itself, once it is stored. */
  readonly toldListeners: Set<ToldListener>;
  /** Who is told that another configuration is wanted of a device. */
  readonly reconfigured: Set<(deviceId: string) => void>;
}

/**
 * Opens the data folder; the first time makes keys, authority, index and the default policy. Wall time
 * in milliseconds by `nowMs`.
 */
export async function openInstallation(
  folder: string,
  config: ServerConfig,
  nowMs: () => number = Date.now,
): Promise<Installation> {
  await makeFolder(join(folder, 'run'));
  const lock = takeLock(join(folder, 'run', 'init.lock'), INIT_WAIT_MS);
  try {
    const nowUs = (): number => Math.round(nowMs() * 1000);
    // The index comes last: while there is none, a first start that broke off is begun again.
    const isNew = isNewInstallation(folder);
    const authority = await Authority.open(join(folder, 'ca'), nowMs, isNew);
    await makeFolder(join(folder, 'keys'));
    const key = await openConsentKey(join(folder, 'keys', 'consent.key'), isNew);
    const store = await openStore(folder, nowUs);
    const gate = new ConsentGate();
    const listeners = new Set<(deviceId: string) => void>();
    const changed = (deviceId: string): void => {
      for (const listener of listeners) listener(deviceId);
    };
    const { leaseS } = config.consent;
    const { consent: rows, devices } = store;
    const consent = new Consent({ rows, devices, gate, key, leaseS, nowUs, changed });
    if (!(await store.consent.policy()))
      await consent.publish(defaultPolicyBytes(), { actor: 'operator', how: 'first start' });
    const consentPublicKey = createPublicKey(key);
    const toldListeners = new Set<ToldListener>();
    const told = { listeners, toldListeners, reconfigured: new Set<(deviceId: string) => void>() };
    const parts = { folder, store, authority, gate, consent, consentPublicKey, nowUs, ...told };
    return { ...parts, ...makeFleet(parts, config, key, changed) };
  } finally {
    lock.release();
  }
}

type Fleet = Pick<
  Installation,
  'certificates' | 'claims' | 'lifecycle' | 'boards' | 'configuration' | 'rollouts'
>;

function makeFleet(
  parts: Omit<Installation, keyof Fleet>,
  config: ServerConfig,
  key: KeyObject,
  changed: (deviceId: string) => void,
): Fleet {
  const lifeS = config.certificates.deviceLifeS;
  const certificates = new Certificates({ ...parts, lifeS, changed });
  const address = (): ReturnType<typeof deviceAddress> => deviceAddress(parts.folder, config);
  return {
    certificates,
    claims: new Claims({ ...parts, certificates, config: config.claims, address, changed }),
    lifecycle: new Lifecycle({ ...parts, key }),
    boards: new Boards(parts),
    configuration: new Configuration({
      ...parts,
      key,
      changed: (deviceId) => {
        for (const listener of parts.reconfigured) listener(deviceId);
      },
    }),
    rollouts: new Rollouts(parts),
  };
}

/**
 * Where devices connect: as configured; where the port is any free one, the one listened on.
 * @throws REQUEST_INVALID when no server runs and so there is none.
 */
export async function deviceAddress(
  folder: string,
  { mqtt }: ServerConfig,
): Promise<{ host: string; port: number }> {
  if (mqtt.port !== 0) return { host: mqtt.publicHost, port: mqtt.port };
  const text = await readFile(join(folder, 'run', 'server.json'), 'utf8').catch(() => undefined);
  if (text === undefined)
    throw new LenscapError('REQUEST_INVALID', 'the port is not known; start the server');
  const { mqttPort }: { readonly mqttPort: number } = JSON.parse(text);
  return { host: mqtt.publicHost, port: mqttPort };
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
