// The product as the bench uses it: real processes, the operator's verbs, the owner's API.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readServerConfig } from '../../broker/installation.ts';
import { addDevice, withInstallation } from '../../broker/operator.ts';
import type { JsonObject } from '../../proto/device-config.ts';
import { checkIdentity } from '../../proto/identity.ts';
import { readDocument } from '../../proto/validate.ts';
import type { Device } from './load/messages.ts';
import { kill, run, type Started, start, stop } from './processes.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const SERVER = join(ROOT, 'broker', 'main.ts');
const AGENT = join(ROOT, 'agent', 'main.ts');
const EMAIL = 'owner@bench.example';
const PASSWORD = 'a password for the bench';
const START_MS = 30_000;
const ADDED_TOGETHER = 16;

/** Free ports, and room for a poll that never rests. */
const CONFIG = {
  mqtt: { port: 0 },
  http: { port: 0, loginsPerMinute: 10_000, requestsPerMinute: 1_000_000 },
  metrics: { port: 0 },
};

export const CLIP = join(ROOT, 'test', 'fixtures', 'motion.mov');
export const PROJECT = ROOT;

/** A data folder with one owner. `parts` go over the configuration. */
export async function makeData(folder: string, parts: object = {}): Promise<void> {
  const password = join(folder, 'password');
  writeFileSync(password, PASSWORD, { mode: 0o600 });
  writeFileSync(configPath(folder), JSON.stringify({ ...CONFIG, ...parts }));
  const data = ['--data', dataPath(folder), '--config', configPath(folder)];
  const args = [SERVER, 'account', 'add', EMAIL, ...data, '--password-file', password];
  await run(process.execPath, args);
}

/** Makes devices; their bundles lie beside the data. `port` is where they connect. */
export async function addDevices(folder: string, count: number, port: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const data = ['--data', dataPath(folder), '--config', configPath(folder)];
    const device = ['--account', EMAIL, '--name', `camera ${i}`, '--out', bundlePath(folder, i)];
    const server = ['--server', `localhost:${port}`];
    await run(process.execPath, [SERVER, 'device', 'add', ...data, ...device, ...server]);
  }
}

/** Makes many devices in this process: quicker than to run the verb for each. */
export async function addFleet(folder: string, count: number, port: number): Promise<void> {
  const config = await readServerConfig(dataPath(folder), configPath(folder));
  await withInstallation(dataPath(folder), config, async (installation) => {
    let next = 0;
    const adder = async (): Promise<void> => {
      for (let i = next++; i < count; i = next++) {
        const device = { email: EMAIL, name: `camera ${i}`, out: bundlePath(folder, i) };
        await addDevice(installation, config, { ...device, server: `localhost:${port}` });
      }
    };
    // Each waits for the disk most of its time.
    await Promise.all(Array.from({ length: ADDED_TOGETHER }, adder));
  });
}

export const dataPath = (folder: string): string => join(folder, 'data');
export const configPath = (folder: string): string => join(folder, 'server.json');
export const bundlePath = (folder: string, index: number): string =>
  join(folder, `device-${index}.json`);

/** An identity as the load uses it. */
export type Bundle = Device & { readonly ca: string; readonly consentKey: string };

export function readBundle(folder: string, index: number): Bundle {
  const path = bundlePath(folder, index);
  const { deviceId, privateKey, certificate, ca, consentKey } = readDocument(
    path,
    'IDENTITY_INVALID',
    checkIdentity,
  );
  return { deviceId, key: privateKey, certificate, ca, consentKey };
}

/** What the owner sees of a camera. */
export interface DeviceState {
  readonly id: string;
  readonly epoch: number;
  /** The one that the camera has said it obeys. */
  readonly appliedEpoch: number;
  readonly segments: number;
  readonly bytes: number;
}

/** A segment as the owner sees it; wall times in milliseconds. */
export interface StoredSegment {
  readonly streamId: string;
  readonly sequence: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly receivedMs: number;
}

/** A running server, logged in to as its owner. */
export class Server {
  readonly started: Started;
  readonly mqttPort: number;
  readonly #httpUrl: string;
  #token = '';
  #policySha256 = '';

  private constructor(started: Started, mqttPort: number, httpUrl: string) {
    this.started = started;
    this.mqttPort = mqttPort;
    this.#httpUrl = httpUrl;
  }

  static async start(folder: string, nodeOptions: readonly string[] = []): Promise<Server> {
    const data = ['--data', dataPath(folder), '--config', configPath(folder)];
    const started = start(process.execPath, [...nodeOptions, SERVER, 'serve', ...data]);
    await started.line(/"msg":"listening"/, START_MS);
    const address: unknown = JSON.parse(
      readFileSync(join(dataPath(folder), 'run', 'server.json'), 'utf8'),
    );
    const server = new Server(started, numberIn(address, 'mqttPort'), textIn(address, 'httpUrl'));
    server.#token = textIn(
      await server.#call('POST', '/api/login', { email: EMAIL, password: PASSWORD }),
      'token',
    );
    server.#policySha256 = textIn(await server.#call('GET', '/api/policy'), 'sha256');
    return server;
  }

  /** Consent, to video and audio unless said; returns the epoch. */
  async grant(deviceId: string, scopes: readonly string[] = ['video', 'audio']): Promise<number> {
    await this.#call('POST', `/api/devices/${deviceId}/consent/grant`, {
      scopes,
      policySha256: this.#policySha256,
    });
    return (await this.device(deviceId)).epoch;
  }

  /** A setup code for a camera of this name. */
  async makeClaim(name: string): Promise<string> {
    return textIn(await this.#call('POST', '/api/claims', { name }), 'code');
  }

  /** All cameras of the owner. */
  async devices(): Promise<{ readonly id: string; readonly name: string }[]> {
    const devices = fieldOf(await this.#call('GET', '/api/devices'), 'devices');
    if (!Array.isArray(devices)) throw new Error('no list of devices');
    return devices.map((device: unknown) => ({
      id: textIn(device, 'id'),
      name: textIn(device, 'name'),
    }));
  }

  /** Changes the configuration by a merge patch; returns the version. */
  async configure(deviceId: string, patch: JsonObject): Promise<number> {
    const path = `/api/devices/${deviceId}/config`;
    const version = numberIn(await this.#call('GET', path), 'version');
    return numberIn(await this.#call('PATCH', path, { version, patch }), 'version');
  }

  /** What the camera said last of its configuration. */
  async reported(deviceId: string): Promise<{ version: number; state: string } | null> {
    const state = await this.#call('GET', `/api/devices/${deviceId}/config`);
    const reported = fieldOf(state, 'reported');
    if (reported === null) return null;
    return { version: numberIn(reported, 'version'), state: textIn(reported, 'state') };
  }

  async withdraw(deviceId: string): Promise<void> {
    await this.#call('POST', `/api/devices/${deviceId}/consent/withdraw`, {});
  }

  async device(deviceId: string): Promise<DeviceState> {
    const state = await this.#call('GET', `/api/devices/${deviceId}`);
    return {
      id: textIn(state, 'id'),
      epoch: numberIn(state, 'epoch'),
      appliedEpoch: numberIn(state, 'appliedEpoch'),
      segments: numberIn(state, 'segments'),
      bytes: numberIn(state, 'bytes'),
    };
  }

  /** All that is stored of a camera. */
  async segments(deviceId: string): Promise<StoredSegment[]> {
    const segments: StoredSegment[] = [];
    let cursor = '';
    for (;;) {
      const path = `/api/devices/${deviceId}/segments?limit=1000${cursor}`;
      const page = await this.#call('GET', path);
      const rows = fieldOf(page, 'segments');
      if (!Array.isArray(rows)) throw new Error('no list of segments');
      segments.push(...rows.map(storedSegment));
      const next = fieldOf(page, 'next');
      if (typeof next !== 'string') return segments;
      cursor = `&cursor=${next}`;
    }
  }

  /** Ends the server; returns the p99 of its event-loop delay, ms. */
  async stop(): Promise<number> {
    await stop(this.started);
    const line = this.started.stderr.find((text) => text.includes('"eventLoopDelayP99Ms"'));
    return Number(/"eventLoopDelayP99Ms":([\d.]+)/.exec(line ?? '')?.[1] ?? Number.NaN);
  }

  /** Ends the server as a loss of power would. */
  async kill(): Promise<void> {
    await kill(this.started, 'SIGKILL');
  }

  async #call(method: 'GET' | 'POST' | 'PATCH', path: string, body?: object): Promise<unknown> {
    const answer = await fetch(`${this.#httpUrl}${path}`, {
      method,
      headers: {
        ...(this.#token === '' ? {} : { authorization: `Bearer ${this.#token}` }),
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }
}

/** Compares index, objects and ledger; the server may run. Returns the segments it counted. */
export async function verify(folder: string): Promise<number> {
  const data = ['--data', dataPath(folder), '--config', configPath(folder)];
  const report: unknown = JSON.parse(
    await run(process.execPath, [SERVER, 'verify', '--json', ...data]),
  );
  return numberIn(report, 'segments');
}

/** An agent on a bundle. `parts` go over the configuration. */
export function startAgent(folder: string, index: number, parts: object): Started {
  const path = join(folder, `agent-${index}.json`);
  const identity = bundlePath(folder, index);
  const stateDir = join(folder, `agent-state-${index}`);
  writeFileSync(path, JSON.stringify({ identity, stateDir, ...parts }));
  return start(process.execPath, [AGENT, 'run', '--config', path]);
}

function storedSegment(row: unknown): StoredSegment {
  const startMs = numberIn(row, 'startAtUs') / 1000;
  return {
    streamId: textIn(row, 'streamId'),
    sequence: numberIn(row, 'sequence'),
    startMs,
    endMs: startMs + numberIn(row, 'durationUs') / 1000,
    receivedMs: Date.parse(textIn(row, 'receivedAt')),
  };
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function textIn(value: unknown, name: string): string {
  const field = fieldOf(value, name);
  if (typeof field !== 'string') throw new Error(`no ${name} in ${JSON.stringify(value)}`);
  return field;
}

function numberIn(value: unknown, name: string): number {
  const field = fieldOf(value, name);
  if (typeof field !== 'number') throw new Error(`no ${name} in ${JSON.stringify(value)}`);
  return field;
}
