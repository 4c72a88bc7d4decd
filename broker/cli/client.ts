// The owner's HTTP API as a client sees it. Errors of the server come out as LenscapError with the
// code it gave; what it cannot be asked comes out as SERVER_UNREACHABLE.
import { type ErrorCode, isErrorCode, LenscapError } from '../../proto/errors.ts';
import type {
  Account,
  Claim,
  ConsentRecord,
  ConsentState,
  Device,
  EventPage,
  Held,
  LogPage,
  MadeClaim,
  Manifest,
  Play,
  PolicyAnswer,
  Receipt,
  SegmentPage,
  Snapshot,
  SnapshotPage,
} from './answers.ts';
import type { ConfigEntry, ConfigState } from './config-answers.ts';

export interface ClientDeps {
  /** Address of the server, e.g. http://127.0.0.1:8480. */
  readonly server: string;
  /** Of `login`; absent before it. */
  readonly token?: string;
  readonly timeoutMs?: number;
  /** Gives up what is being asked. */
  readonly signal?: AbortSignal;
}

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

const TIMEOUT_MS = 30_000;

export class Client {
  readonly #server: string;
  readonly #token: string | undefined;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;

  constructor({ server, token, timeoutMs = TIMEOUT_MS, signal }: ClientDeps) {
    this.#signal = signal ?? new AbortController().signal;
    this.#server = server.replace(/\/+$/, '');
    this.#token = token;
    this.#timeoutMs = timeoutMs;
  }

  login(email: string, password: string): Promise<{ token: string; expiresAt: string }> {
    return this.#json('POST', '/api/login', { email, password });
  }

  async logout(): Promise<void> {
    await this.#json('POST', '/api/logout');
  }

  policy(): Promise<PolicyAnswer> {
    return this.#json('GET', '/api/policy');
  }

  async devices(): Promise<Device[]> {
    return (await this.#json<{ devices: Device[] }>('GET', '/api/devices')).devices;
  }

  device(deviceId: string): Promise<Device> {
    return this.#json('GET', path(deviceId));
  }

  /** All that is held of what a camera told of itself. */
  told(deviceId: string): Promise<Held> {
    return this.#json('GET', `${path(deviceId)}/info`);
  }

  /** Erases that; answers of how many kinds there was something. */
  async eraseTold(deviceId: string): Promise<number> {
    return (await this.#json<{ deleted: number }>('DELETE', `${path(deviceId)}/info`)).deleted;
  }

  /** Gives a camera away; `releasedAt` is set once it has confirmed. */
  release(deviceId: string, recordings: string): Promise<Device> {
    return this.#json('POST', `${path(deviceId)}/release`, { recordings });
  }

  /** Answers how many certificates were revoked. */
  async revoke(deviceId: string): Promise<number> {
    const url = `${path(deviceId)}/revoke`;
    return (await this.#json<{ certificates: number }>('POST', url)).certificates;
  }

  /** A setup code, for a new camera or to let `deviceId` in again. */
  newClaim(request: { readonly name: string; readonly deviceId?: string }): Promise<MadeClaim> {
    return this.#json('POST', '/api/claims', request);
  }

  async claims(): Promise<Claim[]> {
    return (await this.#json<{ claims: Claim[] }>('GET', '/api/claims')).claims;
  }

  async cancelClaim(claimId: string): Promise<void> {
    await this.#json('DELETE', `/api/claims/${encodeURIComponent(claimId)}`);
  }

  claimLabel(code: string, name: string): Promise<{ serial: string; model: string }> {
    return this.#json('POST', '/api/claims/label', { code, name });
  }

  consent(deviceId: string): Promise<ConsentState> {
    return this.#json('GET', `${path(deviceId)}/consent`);
  }

  grant(deviceId: string, scopes: readonly string[], policySha256: string): Promise<ConsentState> {
    return this.#json('POST', `${path(deviceId)}/consent/grant`, { scopes, policySha256 });
  }

  /** No scopes = all. */
  withdraw(deviceId: string, scopes?: readonly string[]): Promise<ConsentState> {
    return this.#json('POST', `${path(deviceId)}/consent/withdraw`, scopes ? { scopes } : {});
  }

  async consentLog(deviceId: string): Promise<ConsentRecord[]> {
    const url = `${path(deviceId)}/consent/log`;
    return (await this.#json<{ records: ConsentRecord[] }>('GET', url)).records;
  }

  receipt(deviceId: string): Promise<Receipt> {
    return this.#json('GET', `${path(deviceId)}/consent/receipt`);
  }

  config(deviceId: string): Promise<ConfigState> {
    return this.#json('GET', `${path(deviceId)}/config`);
  }

  /** A merge patch upon the version that was looked at. */
  patchConfig(deviceId: string, version: number, patch: object): Promise<ConfigState> {
    return this.#json('PATCH', `${path(deviceId)}/config`, { version, patch });
  }

  /** The newest first, all that are kept. */
  async configHistory(deviceId: string): Promise<ConfigEntry[]> {
    const url = `${path(deviceId)}/config/history?limit=200`;
    return (await this.#json<{ versions: ConfigEntry[] }>('GET', url)).versions;
  }

  restoreConfig(deviceId: string, version: number, seen: number): Promise<ConfigState> {
    return this.#json('POST', `${path(deviceId)}/config/restore`, { version, seen });
  }

  /** One page after another. */
  async *segments(deviceId: string, range: Range): AsyncGenerator<SegmentPage, void> {
    for (let cursor: string | undefined; ; ) {
      const url = `${path(deviceId)}/segments${query({ ...range, cursor })}`;
      const page: SegmentPage = await this.#json('GET', url);
      yield page;
      if (page.next === null) return;
      cursor = page.next;
    }
  }

  /** One page after another. */
  async *events(deviceId: string, asked: EventsAsked): AsyncGenerator<EventPage, void> {
    for (let cursor: string | undefined; ; ) {
      const url = `${path(deviceId)}/events${query({ ...asked, cursor })}`;
      const page: EventPage = await this.#json('GET', url);
      yield page;
      if (page.next === null) return;
      cursor = page.next;
    }
  }

  async alerts(deviceId: string): Promise<string[]> {
    return (await this.#json<{ kinds: string[] }>('GET', `${path(deviceId)}/alerts`)).kinds;
  }

  async setAlerts(deviceId: string, kinds: readonly string[]): Promise<string[]> {
    const url = `${path(deviceId)}/alerts`;
    return (await this.#json<{ kinds: string[] }>('PUT', url, { kinds })).kinds;
  }

  /** One page after another. */
  async *snapshots(deviceId: string, range: Range): AsyncGenerator<SnapshotPage, void> {
    for (let cursor: string | undefined; ; ) {
      const url = `${path(deviceId)}/snapshots${query({ ...range, cursor })}`;
      const page: SnapshotPage = await this.#json('GET', url);
      yield page;
      if (page.next === null) return;
      cursor = page.next;
    }
  }

  /** Has the camera take one now; answers when it is stored. */
  takeSnapshot(deviceId: string): Promise<Snapshot> {
    return this.#json('POST', `${path(deviceId)}/snapshots`);
  }

  /** JPEG. */
  async picture(deviceId: string, snapshotId: string): Promise<Uint8Array> {
    const url = `${path(deviceId)}/snapshots/${encodeURIComponent(snapshotId)}`;
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(this.#timeoutMs)]);
    const response = await this.#ask('GET', url, undefined, signal);
    const bytes = await response.arrayBuffer().catch((error: unknown) => {
      throw unreachable(this.#server, error);
    });
    return new Uint8Array(bytes);
  }

  async deleteSnapshot(deviceId: string, snapshotId: string): Promise<number> {
    const url = `${path(deviceId)}/snapshots/${encodeURIComponent(snapshotId)}`;
    return (await this.#json<{ deleted: number }>('DELETE', url)).deleted;
  }

  async deleteSnapshots(deviceId: string, range: Range): Promise<number> {
    const url = `${path(deviceId)}/snapshots${query(range)}`;
    return (await this.#json<{ deleted: number }>('DELETE', url)).deleted;
  }

  async deleteEvents(deviceId: string, range: Range): Promise<number> {
    const url = `${path(deviceId)}/events${query(range)}`;
    return (await this.#json<{ deleted: number }>('DELETE', url)).deleted;
  }

  timeline(deviceId: string, range: Range): Promise<Account> {
    return this.#json('GET', `${path(deviceId)}/timeline${query(range)}`);
  }

  play(deviceId: string, range: Range): Promise<Play> {
    return this.#json('POST', `${path(deviceId)}/play`, range);
  }

  manifest(deviceId: string, range: Range & { readonly asOf?: string }): Promise<Manifest> {
    return this.#json('GET', `${path(deviceId)}/export/manifest${query(range)}`);
  }

  /** The bytes of an export; an error while they come is an error of the stream. */
  async export(
    deviceId: string,
    range: Range & { readonly asOf?: string },
  ): Promise<ReadableStream<Uint8Array>> {
    const url = `${path(deviceId)}/export${query(range)}`;
    const response = await this.#ask('GET', url, undefined, this.#signal);
    if (!response.body) throw new LenscapError('SERVER_UNREACHABLE', 'an empty answer');
    return response.body;
  }

  async deleteSegment(deviceId: string, streamId: string, sequence: number): Promise<number> {
    const url = `${path(deviceId)}/segments/${encodeURIComponent(streamId)}/${sequence}`;
    return (await this.#json<{ deleted: number }>('DELETE', url)).deleted;
  }

  async deleteRange(deviceId: string, range: Range): Promise<number> {
    const url = `${path(deviceId)}/segments${query(range)}`;
    return (await this.#json<{ deleted: number }>('DELETE', url)).deleted;
  }

  /** One page; its `next` is also where to go on later. */
  logs(deviceId: string, asked: LogsAsked): Promise<LogPage> {
    return this.#json('GET', `${path(deviceId)}/logs${query(asked)}`);
  }

  /** Answers how many lines. */
  async deleteLogs(deviceId: string, range: Range): Promise<number> {
    const url = `${path(deviceId)}/logs${query(range)}`;
    return (await this.#json<{ deleted: number }>('DELETE', url)).deleted;
  }

  async #json<T>(method: string, url: string, body?: unknown): Promise<T> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(this.#timeoutMs)]);
    const response = await this.#ask(method, url, body, signal);
    try {
      const answer: T = JSON.parse(await response.text());
      return answer;
    } catch (error) {
      throw unreachable(this.#server, error);
    }
  }

  async #ask(method: string, url: string, body: unknown, signal: AbortSignal): Promise<Response> {
    const headers = {
      ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const sent = body === undefined ? null : JSON.stringify(body);
    const request = { method, headers, body: sent, signal, redirect: 'error' as const };
    const response = await fetch(`${this.#server}${url}`, request).catch((error: unknown) => {
      throw unreachable(this.#server, error);
    });
    if (response.ok) return response;
    throw await refusal(this.#server, response);
  }
}

async function refusal(server: string, response: Response): Promise<LenscapError> {
  const text = await response.text().catch(() => '');
  const { code, message } = parseRefusal(text);
  if (code === undefined)
    return new LenscapError('SERVER_UNREACHABLE', `${server} answers ${response.status}`);
  return new LenscapError(code, message);
}

/** The detail of a refusal: its message without the table's part, which the error adds again. */
function parseRefusal(text: string): { code?: ErrorCode; message: string } {
  try {
    const { code, message }: { code?: unknown; message?: unknown } = JSON.parse(text);
    if (typeof code !== 'string' || !isErrorCode(code)) return { message: '' };
    const said = typeof message === 'string' ? message : '';
    const colon = said.indexOf(': ');
    return { code, message: colon < 0 ? 'see the log of the server' : said.slice(colon + 2) };
  } catch {
    return { message: '' };
  }
}

function unreachable(server: string, cause: unknown): LenscapError {
  const detail = `${server}; check the address and that the server runs`;
  return new LenscapError('SERVER_UNREACHABLE', detail, { cause });
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
