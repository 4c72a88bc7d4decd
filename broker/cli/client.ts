// The owner's HTTP API as a client sees it: what can be asked, and what is answered.
import { Api, type ApiDeps } from './api.ts';
import type { ConfigEntry, ConfigState } from './config-answers.ts';
import type { ConsentRecord, ConsentState, PolicyAnswer, Receipt } from './consent-answers.ts';
import type { Claim, Device, Held, MadeClaim } from './device-answers.ts';
import type { LogPage } from './log-answers.ts';
import type {
  Account,
  EventPage,
  Manifest,
  Play,
  SegmentPage,
  Snapshot,
  SnapshotPage,
} from './recording-answers.ts';

/** ISO 8601 with zone; absent = all there is. */
export interface Range {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** Events of a stretch of time, of one kind, or of those wanted as alerts. */
export interface EventsAsked extends Range {
  readonly kind?: string | undefined;
  readonly alert?: 'true' | undefined;
}

export interface LogsAsked extends Range {
  readonly level?: string | undefined;
  readonly cursor?: string | undefined;
}

type Query = EventsAsked & { readonly asOf?: string; readonly cursor?: string | undefined };

export class Client {
  readonly #api: Api;

  constructor(deps: ApiDeps) {
    this.#api = new Api(deps);
  }

  login(email: string, password: string): Promise<{ token: string; expiresAt: string }> {
    return this.#api.json('POST', '/api/login', { email, password });
  }

  async logout(): Promise<void> {
    await this.#api.json('POST', '/api/logout');
  }

  policy(): Promise<PolicyAnswer> {
    return this.#api.json('GET', '/api/policy');
  }

  async devices(): Promise<Device[]> {
    return (await this.#api.json<{ devices: Device[] }>('GET', '/api/devices')).devices;
  }

  device(deviceId: string): Promise<Device> {
    return this.#api.json('GET', path(deviceId));
  }

  /** All that is held of what a camera told of itself. */
  told(deviceId: string): Promise<Held> {
    return this.#api.json('GET', `${path(deviceId)}/info`);
  }

  /** Erases that; answers of how many kinds there was something. */
  eraseTold(deviceId: string): Promise<number> {
    return this.#deleted(`${path(deviceId)}/info`);
  }

  /** Gives a camera away; `releasedAt` is set once it has confirmed. */
  release(deviceId: string, recordings: string): Promise<Device> {
    return this.#api.json('POST', `${path(deviceId)}/release`, { recordings });
  }

  /** Answers how many certificates were revoked. */
  async revoke(deviceId: string): Promise<number> {
    const url = `${path(deviceId)}/revoke`;
    return (await this.#api.json<{ certificates: number }>('POST', url)).certificates;
  }

  /** A setup code, for a new camera or to let `deviceId` in again. */
  newClaim(request: { readonly name: string; readonly deviceId?: string }): Promise<MadeClaim> {
    return this.#api.json('POST', '/api/claims', request);
  }

  async claims(): Promise<Claim[]> {
    return (await this.#api.json<{ claims: Claim[] }>('GET', '/api/claims')).claims;
  }

  async cancelClaim(claimId: string): Promise<void> {
    await this.#api.json('DELETE', `/api/claims/${encodeURIComponent(claimId)}`);
  }

  claimLabel(code: string, name: string): Promise<{ serial: string; model: string }> {
    return this.#api.json('POST', '/api/claims/label', { code, name });
  }

  consent(deviceId: string): Promise<ConsentState> {
    return this.#api.json('GET', `${path(deviceId)}/consent`);
  }

  grant(deviceId: string, scopes: readonly string[], policySha256: string): Promise<ConsentState> {
    return this.#api.json('POST', `${path(deviceId)}/consent/grant`, { scopes, policySha256 });
  }

  /** No scopes = all. */
  withdraw(deviceId: string, scopes?: readonly string[]): Promise<ConsentState> {
    return this.#api.json('POST', `${path(deviceId)}/consent/withdraw`, scopes ? { scopes } : {});
  }

  async consentLog(deviceId: string): Promise<ConsentRecord[]> {
    const url = `${path(deviceId)}/consent/log`;
    return (await this.#api.json<{ records: ConsentRecord[] }>('GET', url)).records;
  }

  receipt(deviceId: string): Promise<Receipt> {
    return this.#api.json('GET', `${path(deviceId)}/consent/receipt`);
  }

  config(deviceId: string): Promise<ConfigState> {
    return this.#api.json('GET', `${path(deviceId)}/config`);
  }

  /** A merge patch upon the version that was looked at. */
  patchConfig(deviceId: string, version: number, patch: object): Promise<ConfigState> {
    return this.#api.json('PATCH', `${path(deviceId)}/config`, { version, patch });
  }

  /** What can be changed of a camera. */
  configSchema(): Promise<unknown> {
    return this.#api.json('GET', '/api/config-schema');
  }

  /** The newest first, all that are kept. */
  async configHistory(deviceId: string): Promise<ConfigEntry[]> {
    const url = `${path(deviceId)}/config/history?limit=200`;
    return (await this.#api.json<{ versions: ConfigEntry[] }>('GET', url)).versions;
  }

  restoreConfig(deviceId: string, version: number, seen: number): Promise<ConfigState> {
    return this.#api.json('POST', `${path(deviceId)}/config/restore`, { version, seen });
  }

  /** One page after another. */
  segments(deviceId: string, range: Range): AsyncGenerator<SegmentPage, void> {
    return this.#pages(`${path(deviceId)}/segments`, range);
  }

  /** One page after another. */
  events(deviceId: string, asked: EventsAsked): AsyncGenerator<EventPage, void> {
    return this.#pages(`${path(deviceId)}/events`, asked);
  }

  async alerts(deviceId: string): Promise<string[]> {
    return (await this.#api.json<{ kinds: string[] }>('GET', `${path(deviceId)}/alerts`)).kinds;
  }

  async setAlerts(deviceId: string, kinds: readonly string[]): Promise<string[]> {
    const url = `${path(deviceId)}/alerts`;
    return (await this.#api.json<{ kinds: string[] }>('PUT', url, { kinds })).kinds;
  }

  /** One page after another. */
  snapshots(deviceId: string, range: Range): AsyncGenerator<SnapshotPage, void> {
    return this.#pages(`${path(deviceId)}/snapshots`, range);
  }

  /** Has the camera take one now; answers when it is stored. */
  takeSnapshot(deviceId: string): Promise<Snapshot> {
    return this.#api.json('POST', `${path(deviceId)}/snapshots`);
  }

  /** JPEG. */
  picture(deviceId: string, snapshotId: string): Promise<Uint8Array> {
    const url = `${path(deviceId)}/snapshots/${encodeURIComponent(snapshotId)}`;
    return this.#api.bytes(url);
  }

  deleteSnapshot(deviceId: string, snapshotId: string): Promise<number> {
    const url = `${path(deviceId)}/snapshots/${encodeURIComponent(snapshotId)}`;
    return this.#deleted(url);
  }

  deleteSnapshots(deviceId: string, range: Range): Promise<number> {
    const url = `${path(deviceId)}/snapshots${query(range)}`;
    return this.#deleted(url);
  }

  deleteEvents(deviceId: string, range: Range): Promise<number> {
    const url = `${path(deviceId)}/events${query(range)}`;
    return this.#deleted(url);
  }

  timeline(deviceId: string, range: Range): Promise<Account> {
    return this.#api.json('GET', `${path(deviceId)}/timeline${query(range)}`);
  }

  play(deviceId: string, range: Range): Promise<Play> {
    return this.#api.json('POST', `${path(deviceId)}/play`, range);
  }

  manifest(deviceId: string, range: Range & { readonly asOf?: string }): Promise<Manifest> {
    return this.#api.json('GET', `${path(deviceId)}/export/manifest${query(range)}`);
  }

  /** The bytes of an export; an error while they come is an error of the stream. */
  export(
    deviceId: string,
    range: Range & { readonly asOf?: string },
  ): Promise<ReadableStream<Uint8Array>> {
    const url = `${path(deviceId)}/export${query(range)}`;
    return this.#api.stream(url);
  }

  deleteSegment(deviceId: string, streamId: string, sequence: number): Promise<number> {
    const url = `${path(deviceId)}/segments/${encodeURIComponent(streamId)}/${sequence}`;
    return this.#deleted(url);
  }

  deleteRange(deviceId: string, range: Range): Promise<number> {
    const url = `${path(deviceId)}/segments${query(range)}`;
    return this.#deleted(url);
  }

  /** One page; its `next` is also where to go on later. */
  logs(deviceId: string, asked: LogsAsked): Promise<LogPage> {
    return this.#api.json('GET', `${path(deviceId)}/logs${query(asked)}`);
  }

  /** Answers how many lines. */
  deleteLogs(deviceId: string, range: Range): Promise<number> {
    const url = `${path(deviceId)}/logs${query(range)}`;
    return this.#deleted(url);
  }

  async *#pages<T extends { readonly next: string | null }>(
    url: string,
    asked: EventsAsked,
  ): AsyncGenerator<T, void> {
    for (let cursor: string | undefined; ; ) {
      const page: T = await this.#api.json('GET', `${url}${query({ ...asked, cursor })}`);
      yield page;
      if (page.next === null) return;
      cursor = page.next;
    }
  }

  /** Answers how much was deleted. */
  async #deleted(url: string): Promise<number> {
    return (await this.#api.json<{ deleted: number }>('DELETE', url)).deleted;
  }
}

function path(deviceId: string): string {
  return `/api/devices/${encodeURIComponent(deviceId)}`;
}

function query(values: Query & LogsAsked): string {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries<string | undefined>({ ...values }))
    if (value !== undefined) given.set(key, value);
  return given.size === 0 ? '' : `?${given}`;
}
