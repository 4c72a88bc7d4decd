// A service of its own for one test: a data folder, a real server process on it, one owner. It can be
// ended and started again on the same ports, as after a crash.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Credentials } from '../../broker/cli/credentials.ts';
import { type Installation, readServerConfig } from '../../broker/installation.ts';
import { revokeDevice } from '../../broker/operator/devices.ts';
import { addAccount, addDevice, verify, withInstallation } from '../../broker/operator.ts';
import type { Report } from '../../broker/store/findings.ts';
import { checkIdentity, type IdentityBundle } from '../../proto/identity.ts';
import { freePort } from '../free-port.ts';
import { folderOf } from './folder.ts';
import { finished, node, type Options, Running, SERVER } from './processes.ts';

const EMAIL = 'owner@example.org';
const PASSWORD = 'correct horse battery';

export interface Segment {
  readonly streamId: string;
  readonly sequence: number;
  readonly startAtUs: number;
  readonly durationUs: number;
  readonly bytes: number;
  readonly sha256: string;
  readonly epoch: number;
  readonly scopes: readonly string[];
  readonly timeCorrectedUs: number;
  readonly timeEstimated: boolean;
  readonly receivedAt: string;
}

export interface Gap {
  readonly startAtUs: number;
  readonly durationUs: number;
  readonly reason: string;
  readonly code: string | null;
  readonly timeCorrectedUs: number;
  readonly timeEstimated: boolean;
}

export interface Device {
  readonly state: string;
  readonly stateReason: string | null;
  readonly releasedAt: string | null;
  readonly connected: boolean;
  readonly lastSeenAt: string | null;
  readonly cap: 'on' | 'off';
  readonly scopes: readonly string[];
  readonly epoch: number;
  readonly appliedEpoch: number;
  readonly segments: number;
}

/** A device as it was added: its bundle, and the file with it. */
export interface Added {
  readonly id: string;
  readonly bundle: IdentityBundle;
  readonly file: string;
}

interface Settings {
  readonly mqtt?: object;
  readonly consent?: object;
  readonly store?: object;
  readonly claims?: object;
  readonly certificates?: object;
}

export class House {
  readonly folder: string;
  readonly #t: Test;
  readonly #mqttPort: number;
  #server: Running | undefined;
  #url = '';
  #token = '';

  private constructor(t: Test, folder: string, mqttPort: number) {
    this.#t = t;
    this.folder = folder;
    this.#mqttPort = mqttPort;
  }

  /** Makes the data folder (in a folder of the test if absent), starts the server, adds the owner. */
  static async open(
    t: Test,
    settings: Settings = {},
    folder = join(folderOf(t), 'data'),
  ): Promise<House> {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const port = await freePort();
    const config = {
      ...settings,
      mqtt: { port, ...settings.mqtt },
      metrics: { port: 0 },
      http: { port: await freePort(), loginsPerMinute: 10_000, requestsPerMinute: 1_000_000 },
    };
    writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
    const house = new House(t, folder, port);
    await house.start();
    await house.inside((installation) => addAccount(installation, EMAIL, PASSWORD));
    const { token } = await house.ask<{ token: string }>('POST', '/api/login', {
      email: EMAIL,
      password: PASSWORD,
    });
    house.#token = token;
    return house;
  }

  get server(): Running {
    if (this.#server === undefined) throw new Error('no server was started');
    return this.#server;
  }

  get mqttPort(): number {
    return this.#mqttPort;
  }

  /** Starts the server and waits until it listens. */
  async start(options: Options = {}): Promise<void> {
    this.#server = new Running(this.#t, node(SERVER, 'serve', '--data', this.folder), options);
    await this.#server.says(/^owners: .+\n/m);
    this.#url = /^owners: +(\S+)/m.exec(this.#server.out)?.[1] ?? '';
  }

  /** What an operator's verb does, in this process: quicker than to run the verb. */
  async inside<T>(use: (installation: Installation) => Promise<T>): Promise<T> {
    return withInstallation(this.folder, await readServerConfig(this.folder, undefined), use);
  }

  /** Adds a device of the owner. */
  async addDevice(name: string): Promise<Added> {
    const config = await readServerConfig(this.folder, undefined);
    const file = join(this.folder, '..', `${name}.identity.json`);
    const request = { email: EMAIL, name, out: file, server: `localhost:${this.#mqttPort}` };
    const id = await this.inside((installation) => addDevice(installation, config, request));
    return { id, bundle: checkIdentity(JSON.parse(readFileSync(file, 'utf8')), file), file };
  }

  revoke(deviceId: string): Promise<number> {
    return this.inside((installation) => revokeDevice(installation, deviceId));
  }

  /** An operator's verb as the real program. */
  verb(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
    return finished(node(SERVER, ...args, '--data', this.folder));
  }

  /** `lenscap-server verify`, the real program. */
  async verify(): Promise<Report & { readonly code: number }> {
    const { code, out, err } = await this.verb('verify', '--json');
    if (out === '') throw new Error(`verify: ${code} ${err}`);
    const report: Report = JSON.parse(out);
    return { ...report, code };
  }

  /** The same check in this process: quicker. */
  check(): Promise<Report> {
    return this.inside((installation) => verify(installation, () => undefined));
  }

  /** A request of the owner. @throws Error with status and body. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.fetch(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    const answer: T = JSON.parse(text);
    return answer;
  }

  fetch(method: string, path: string, body?: unknown): Promise<Response> {
    return fetch(`${this.#url}${path}`, {
      method,
      headers: {
        ...(this.#token === '' ? {} : { authorization: `Bearer ${this.#token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Saves the owner's login in a folder, as `lenscap login` does. */
  async logIn(home: string): Promise<void> {
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
    const saved = { server: this.#url, token: this.#token, email: EMAIL, expiresAt };
    await new Credentials(home).write(saved);
  }

  device(id: string): Promise<Device> {
    return this.ask('GET', `/api/devices/${id}`);
  }

  /** The owner consents to the policy in force. Returns the epoch. */
  async grant(id: string, ...scopes: readonly string[]): Promise<number> {
    const { sha256 } = await this.ask<{ sha256: string }>('GET', '/api/policy');
    const path = `/api/devices/${id}/consent/grant`;
    const body = { scopes, policySha256: sha256 };
    return (await this.ask<{ epoch: number }>('POST', path, body)).epoch;
  }

  /** The owner withdraws these scopes, or all. Returns the epoch. */
  async withdraw(id: string, ...scopes: readonly string[]): Promise<number> {
    const body = scopes.length === 0 ? {} : { scopes };
    const path = `/api/devices/${id}/consent/withdraw`;
    return (await this.ask<{ epoch: number }>('POST', path, body)).epoch;
  }

  /** Everything that is stored of a device, over all pages. */
  async stored(id: string): Promise<{ segments: Segment[]; gaps: Gap[] }> {
    const segments: Segment[] = [];
    const gaps: Gap[] = [];
    let cursor = '';
    for (;;) {
      const page = await this.ask<{ segments: Segment[]; gaps: Gap[]; next: string | null }>(
        'GET',
        `/api/devices/${id}/segments?limit=1000${cursor}`,
      );
      segments.push(...page.segments);
      gaps.push(...page.gaps);
      if (page.next === null) return { segments, gaps };
      cursor = `&cursor=${page.next}`;
    }
  }
}
