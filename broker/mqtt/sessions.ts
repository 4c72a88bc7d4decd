// The sessions of devices: who is admitted, what each is told, and who is cut off.
// INVARIANT: a session is in the list before its certificate and state are looked at for the last
// time, so that whatever ends its right to be here either is seen there or finds it in the list.
import type { TLSSocket } from 'node:tls';
import type { Client } from 'aedes';
import { type DownNoun, downTopic } from '../../proto/topics.ts';
import type { Sender } from '../collector/collector.ts';
import type { Actor, Consent } from '../consent/consent.ts';
import type { Admission, Certificates } from '../fleet/certificates.ts';
import type { Configuration } from '../fleet/configuration.ts';
import type { DeviceRow } from '../store/devices.ts';
import { instanceOf, type Refused, refused, whyStranger } from './authorize.ts';
import type { Guard } from './guard.ts';
import { LastSeen, type LastSeenDeps } from './last-seen.ts';
import type { Peer } from './peer.ts';
import { send } from './send.ts';

/** A TLS connection that has passed the listener. */
export interface Arrival {
  readonly guard: Guard;
  readonly socket: TLSSocket;
  readonly peer: Peer;
  /** To be called once it is admitted or refused, so that the next may come. */
  readonly done: () => void;
}

/** One accepted connection of a device. */
export interface Session extends Sender {
  readonly client: Client;
  readonly guard: Guard;
  readonly peer: Peer;
  readonly certificateEndUs: number;
  /** `farewell`: only to hear that it was released. */
  admittedAs: Standing['kind'];
  /** It said that it forgets everything; its certificate may end before that is acknowledged. */
  isLeaving: boolean;
  /** It has subscribed to what it is to hear. */
  isListening: boolean;
  /** The highest version of its configuration that it was told. */
  toldVersion: number;
}

export interface SessionsDeps extends LastSeenDeps {
  readonly consent: Pick<Consent, 'load' | 'signedGrant'>;
  readonly certificates: Pick<Certificates, 'check' | 'used' | 'twin'>;
  readonly configuration: Pick<Configuration, 'signed'>;
  readonly lifecycle: {
    suspend(device: DeviceRow, reason: 'clone', by: Actor): Promise<void>;
    signedRelease(deviceId: string): Promise<Uint8Array>;
  };
  readonly instances: {
    note(deviceId: string, instanceId: string, certificateSerial: string): 'fine' | 'clone';
  };
}

type Standing = Exclude<Admission, { kind: 'refused' }>;

const DETECTION = { actor: 'server', how: 'clone detection' };

export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #sessions = new Map<Client, Session>();
  readonly #ofDevice = new Map<string, Set<Session>>();
  readonly #lastSeen: LastSeen;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
    this.#lastSeen = new LastSeen(deps);
  }

  /** After the last one has gone. */
  close(): Promise<void> {
    return this.#lastSeen.flush();
  }

  of(client: Client): Session | undefined {
    return this.#sessions.get(client);
  }

  isConnected(deviceId: string): boolean {
    return this.#ofDevice.has(deviceId);
  }

  /** Ids of the devices that are connected. */
  connected(): string[] {
    return [...this.#ofDevice.keys()];
  }

  /** Open now. */
  count(as: Standing['kind']): number {
    let count = 0;
    for (const { admittedAs } of this.#sessions.values()) if (admittedAs === as) count++;
    return count;
  }

  /** Admits a device, or says why not. */
  async admit(
    client: Client,
    arrival: Arrival,
    userName: string | undefined,
  ): Promise<Refused | undefined> {
    const { guard, peer } = arrival;
    const first = await this.#standing(client.id, peer);
    if ('refusal' in first) {
      const twin = await this.#deps.certificates.twin(peer.serial, peer.fingerprint);
      if (twin?.device_id === client.id && !guard.destroyed) await this.#suspend(twin);
      return first;
    }
    const instance = instanceOf(userName);
    if (instance === undefined) return refused('instance');
    // Of a run that has died since nothing may be noted: it would look older than the one after it.
    if (guard.destroyed) return refused('gone');
    if (first.kind === 'device') {
      if (this.#deps.instances.note(client.id, instance, peer.serial) === 'clone') {
        await this.#suspend(first.device);
        return refused('clone');
      }
      if (first.certificate.used_at_us === null) await this.#deps.certificates.used(peer.serial);
    }
    if (guard.destroyed) return refused('gone');
    const session = this.#add(client, arrival, first);
    const last = await this.#lastLook(session);
    if ('refusal' in last) {
      this.#remove(session);
      return last;
    }
    session.admittedAs = last.kind;
    this.#lastSeen.note(client.id);
    this.#deps.log.info(
      { deviceId: client.id, serial: peer.serial, as: last.kind },
      'device connected',
    );
    guard.authenticated();
    return undefined;
  }

  /** Sends a device the consent in force, or that it is released, if it is connected. */
  async tell(deviceId: string): Promise<void> {
    // Who is still before its CONNACK is told when it subscribes.
    const sessions = this.#of(deviceId).filter(({ client }) => client.connected);
    if (sessions.length === 0) return;
    const isReleased = sessions.some(({ admittedAs }) => admittedAs === 'farewell');
    const noun: DownNoun = isReleased ? 'release' : 'grant';
    const payload = isReleased
      ? await this.#deps.lifecycle.signedRelease(deviceId)
      : await this.#deps.consent.signedGrant(deviceId);
    for (const { client } of sessions) await send(client, downTopic(deviceId, noun), payload);
    await this.tellConfiguration(deviceId);
  }

  /** Sends a device the configuration that is wanted, unless it was told it on this connection. */
  async tellConfiguration(deviceId: string): Promise<void> {
    for (const session of this.#of(deviceId))
      if (session.isListening && session.admittedAs === 'device')
        await this.#tellVersion(session).catch((err: unknown) =>
          // It goes on with the one that it has.
          this.#deps.log.error({ err, deviceId }, 'its configuration was not told'),
        );
  }

  /** Sends a device a command, if it is connected and still its owner's; whether it was. */
  async command(deviceId: string, payload: Uint8Array): Promise<boolean> {
    const open = this.#of(deviceId).filter(
      ({ client, admittedAs }) => client.connected && admittedAs === 'device',
    );
    for (const { client } of open) await send(client, downTopic(deviceId, 'command'), payload);
    return open.length > 0;
  }

  /** Tells every connected device, which renews their leases. Waits for none: one may not read. */
  tellAll(): void {
    for (const deviceId of this.#ofDevice.keys())
      this.tell(deviceId).catch((err: unknown) =>
        this.#deps.log.error({ err, deviceId }, 'it was not told what is in force'),
      );
  }

  /** A device has subscribed to what it is to hear of, so it hears it. */
  heard(client: Client, nouns: readonly (string | undefined)[]): void {
    const session = this.#sessions.get(client);
    const awaited = session?.admittedAs === 'farewell' ? 'release' : 'grant';
    if (!session || !nouns.includes(awaited)) return;
    session.isListening = true;
    session.toldVersion = 0;
    this.tell(session.deviceId).catch((err: unknown) => {
      this.#deps.log.error({ err, deviceId: session.deviceId }, `the ${awaited} was not sent`);
      session.guard.destroy();
    });
  }

  /** Cuts off every device whose certificate has ended while it was connected. */
  cutExpired(): void {
    const nowUs = this.#deps.nowUs();
    for (const session of this.#sessions.values())
      if (session.certificateEndUs <= nowUs) this.#cut(session, 'the certificate has expired');
  }

  /** After a change of one device: cuts it off when it is admitted no more, else tells it. */
  async recheck(deviceId: string): Promise<void> {
    for (const session of this.#of(deviceId)) await this.#recheck(session);
    if (!this.isConnected(deviceId)) return;
    await this.#deps.consent.load(deviceId);
    await this.tell(deviceId);
  }

  /** After changes by another process: first all who have to go, then what the others have to hear. */
  async recheckAll(): Promise<void> {
    await this.#each([...this.#sessions.values()], (session) => this.#recheck(session));
    await this.#each([...this.#ofDevice.keys()], (deviceId) => this.#deps.consent.load(deviceId));
    this.tellAll();
  }

  async #tellVersion(session: Session): Promise<void> {
    const wanted = await this.#deps.configuration.signed(session, session.toldVersion);
    if (!wanted || wanted.version <= session.toldVersion) return;
    session.toldVersion = wanted.version;
    await send(session.client, downTopic(session.deviceId, 'config'), wanted.payload);
  }

  async #each<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
    const results = await Promise.allSettled(items.map(act));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #recheck(session: Session): Promise<void> {
    const standing = await this.#standing(session.deviceId, session.peer);
    if ('kind' in standing) session.admittedAs = standing.kind;
    else if (!session.isLeaving) this.#cut(session, standing.why);
  }

  /** What holds for the caller now; asked on every connect, since a resumed TLS session skips all else. */
  async #standing(clientId: string, peer: Peer): Promise<Standing | Refused> {
    const stranger = whyStranger({ clientId, ...peer });
    if (stranger) return stranger;
    const checked = await this.#deps.certificates.check(peer.serial, peer.fingerprint);
    if (checked.kind === 'refused') return { refusal: 'certificate', why: checked.why };
    return checked.device.device_id === clientId ? checked : refused('certificate');
  }

  /** Also has the gate know what is granted, which it need not before. */
  async #lastLook({ deviceId, peer }: Session): Promise<Standing | Refused> {
    const loaded = this.#deps.consent.load(deviceId);
    const [last] = await Promise.all([this.#standing(deviceId, peer), loaded]);
    return last;
  }

  /** Neither of two boards with one certificate gets more than the other: both go. */
  async #suspend(device: DeviceRow): Promise<void> {
    const deviceId = device.device_id;
    this.#deps.log.warn({ deviceId }, 'two boards with one certificate: the device is suspended');
    await this.#deps.lifecycle
      .suspend(device, 'clone', DETECTION)
      .catch((err: unknown) =>
        this.#deps.log.error({ err, deviceId }, 'it could not be suspended'),
      );
    for (const session of this.#of(deviceId)) this.#cut(session, refused('clone').why);
  }

  #cut({ deviceId, guard, peer }: Session, why: string): void {
    if (guard.destroyed) return;
    const { serial } = peer;
    this.#deps.log.warn({ deviceId, serial, why }, 'device cut off');
    guard.destroy();
  }

  #add(client: Client, { guard, peer }: Arrival, { kind, certificate, device }: Standing): Session {
    const session: Session = {
      ...{ deviceId: device.device_id, accountId: device.account_id, client, guard, peer },
      ...{ certificateEndUs: certificate.not_after_us, admittedAs: kind },
      ...{ isLeaving: false, isListening: false, toldVersion: 0 },
    };
    this.#sessions.set(client, session);
    const others = this.#ofDevice.get(session.deviceId) ?? new Set();
    this.#ofDevice.set(session.deviceId, others.add(session));
    guard.once('close', () => {
      if (!this.#remove(session)) return;
      this.#deps.log.info({ deviceId: session.deviceId }, 'device disconnected');
      this.#lastSeen.note(session.deviceId);
    });
    return session;
  }

  #remove(session: Session): boolean {
    const others = this.#ofDevice.get(session.deviceId);
    others?.delete(session);
    if (others?.size === 0) this.#ofDevice.delete(session.deviceId);
    return this.#sessions.delete(session.client);
  }

  #of(deviceId: string): Session[] {
    return [...(this.#ofDevice.get(deviceId) ?? [])];
  }
}
