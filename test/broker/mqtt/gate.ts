// The gate of a real installation in this process, with one owner, and whoever comes to it.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import type { Test } from 'tap';
import { makeRequest } from '../../../agent/identity/csr.ts';
import { enrol } from '../../../broker/fleet/enrolment.ts';
import { type Installation, openInstallation } from '../../../broker/installation.ts';
import type { Broker } from '../../../broker/mqtt/broker.ts';
import { addAccount } from '../../../broker/operator.ts';
import { makeBroker } from '../../../broker/serve.ts';
import type { DeviceRow } from '../../../broker/store/devices.ts';
import { MediaMemory } from '../../../broker/store/media-memory.ts';
import {
  type ClaimAnswer,
  claimIdOf,
  encodeClaimRequest,
  proofKeyOf,
  proofOf,
  sessionSecretOf,
} from '../../../proto/claim.ts';
import type { IdentityBundle } from '../../../proto/identity.ts';
import type { Scope } from '../../../proto/scopes.ts';
import { checkServerConfig, type ServerConfig } from '../../../proto/server-config.ts';
import { decodeSetupCode } from '../../../proto/setup-code.ts';
import { claimTopic, type Exchange, exchangeId } from '../../../proto/topics.ts';
import { type Answer, connectPacket, TestDevice } from '../../e2e/device.ts';
import { eventually } from '../../e2e/processes.ts';
import { freePort } from '../../free-port.ts';

export const OWNER = { actor: 'owner', how: 'test' };

export class Gate {
  readonly installation: Installation;
  readonly broker: Broker;
  readonly config: ServerConfig;
  readonly accountId: string;
  readonly #log: { text: string };

  private constructor(
    installation: Installation,
    broker: Broker,
    config: ServerConfig,
    accountId: string,
    log: { text: string },
  ) {
    this.installation = installation;
    this.broker = broker;
    this.config = config;
    this.accountId = accountId;
    this.#log = log;
  }

  /** Opens the gate on a free port; it ends with the test. */
  static async open(
    t: Test,
    over: { readonly mqtt?: object; readonly claims?: object; readonly certificates?: object } = {},
  ): Promise<Gate> {
    const port = await freePort();
    const config = checkServerConfig({ ...over, mqtt: { port, ...over.mqtt } }, 'test');
    // Not t.testdir(), which is removed before what is in it is closed.
    const folder = mkdtempSync(join(tmpdir(), 'lenscap-gate-'));
    const installation = await openInstallation(folder, config);
    const accountId = await addAccount(installation, 'owner@example.org', 'correct horse battery');
    const [log, text] = logger();
    const broker = await makeBroker(installation, config, log, new MediaMemory());
    await broker.listen();
    const end = new AbortController();
    const running = broker.run(end.signal);
    t.teardown(async () => {
      end.abort();
      await running;
      await installation.store.close();
      rmSync(folder, { recursive: true, force: true });
    });
    return new Gate(installation, broker, config, accountId, text);
  }

  /** All that was logged, one line of JSON each. */
  get logged(): string {
    return this.#log.text;
  }

  /** Waits until the log says it. */
  async says(what: string): Promise<void> {
    await eventually(
      `"${what}"`,
      () => this.#log.text.includes(what),
      5000,
      () => this.#log.text.slice(-1500),
    );
  }

  /** A device of the owner. */
  add(name: string): Promise<IdentityBundle> {
    const server = { host: 'localhost', port: this.config.mqtt.port };
    return enrol(this.installation, { accountId: this.accountId, name, server });
  }

  async row(deviceId: string): Promise<DeviceRow> {
    const row = await this.installation.store.devices.byId(deviceId);
    if (!row) throw new Error(`no device ${deviceId}`);
    return row;
  }

  /** The owner consents; returns the epoch. */
  async grant(deviceId: string, ...scopes: readonly Scope[]): Promise<number> {
    const { consent } = this.installation;
    const { sha256 } = await consent.policy();
    return (await consent.grant(await this.row(deviceId), scopes, sha256, OWNER)).epoch;
  }

  /** A setup code of the owner: the exchange it is for, and its secret. */
  async newCode(): Promise<{ exchange: Exchange; secret: Uint8Array }> {
    const request = { name: 'hall', deviceId: null };
    const { claimId, code } = await this.installation.claims.create(this.accountId, request);
    const { secret } = decodeSetupCode(code);
    if (claimIdOf(secret) !== claimId) throw new Error('the code is of another claim');
    return { exchange: { kind: 'claim', claimId }, secret };
  }
}

function logger(): [Logger, { text: string }] {
  const said = { text: '' };
  const write = (line: string): void => {
    said.text += line;
  };
  return [pino({ level: 'debug' }, { write }), said];
}

/** A board without an identity, or with the key its maker gave it. */
export class Stranger {
  readonly device: TestDevice;
  readonly exchange: Exchange;

  private constructor(device: TestDevice, exchange: Exchange) {
    this.device = device;
    this.exchange = exchange;
  }

  static async come(
    { config, installation }: Gate,
    exchange: Exchange,
    factory: { readonly key?: string; readonly cert?: string; readonly localAddress?: string } = {},
  ): Promise<Stranger> {
    const over = { key: undefined, cert: undefined, ...factory };
    const packet = connectPacket(exchangeId(exchange), '');
    const bundle: IdentityBundle = {
      ...{ version: 1, deviceId: exchangeId(exchange), privateKey: '', certificate: '' },
      ...{ server: { host: 'localhost', port: config.mqtt.port }, previous: null },
      ...{ ca: installation.authority.certificate, consentKey: '' },
    };
    return new Stranger(await TestDevice.tryConnect(bundle, { over, packet }), exchange);
  }

  get answers(): ClaimAnswer[] {
    return this.device.said.flatMap((said) => (said.kind === 'answer' ? said.answer : []));
  }

  listen(): Promise<readonly number[]> {
    return this.device.subscribe(claimTopic(this.exchange, 'answer'));
  }

  /** Sends any bytes as its request. */
  send(payload: Uint8Array): Promise<Answer> {
    return this.device.publishTo(claimTopic(this.exchange, 'request'), payload);
  }

  /** Asks for an identity, proving that it knows the secret. */
  ask(secret: Uint8Array, privateKey = newKey()): Promise<Answer> {
    const csr = makeRequest(privateKey);
    const sessionSecret = sessionSecretOf(this.device.socket);
    const proof = proofOf(proofKeyOf(secret), sessionSecret, csr);
    return this.send(encodeClaimRequest({ csr, proof, deviceId: null }));
  }
}

export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
}
