// The demo's owner: does over the HTTP API what an owner does, nothing more.
import { createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface DeviceState {
  readonly connected: boolean;
  readonly cap: 'on' | 'off';
  readonly segments: number;
  readonly bytes: number;
  readonly lastSegmentEndAt: string | null;
}

interface Claim {
  readonly claimId: string;
  readonly state: string;
  readonly deviceId: string | null;
}

export interface Manifest {
  readonly pieces: readonly unknown[];
}

export class Owner {
  readonly #url: string;
  readonly #token: string;
  /** Of the demo camera, once it is found; empty before. */
  deviceId = '';

  private constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  static async login(
    url: string,
    { email, password }: { email: string; password: string },
  ): Promise<Owner> {
    const response = await fetch(`${url}/api/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password }),
    });
    const { token }: { token: string } = JSON.parse(await accepted(response));
    return new Owner(url, token);
  }

  /** Whether the owner has a camera already; it is the one from now on. */
  async findCamera(): Promise<boolean> {
    const { devices }: { devices: { id: string }[] } = await this.#ask('/api/devices');
    this.deviceId = devices[0]?.id ?? '';
    return devices.length > 0;
  }

  newClaim(name: string): Promise<{ claimId: string; code: string }> {
    return this.#ask('/api/claims', { name });
  }

  /** Whether a camera has connected with the identity that the code led to. */
  async isClaimed(claimId: string): Promise<boolean> {
    const { claims }: { claims: Claim[] } = await this.#ask('/api/claims');
    const claim = claims.find((one) => one.claimId === claimId);
    this.deviceId = claim?.deviceId ?? '';
    return claim?.state === 'used';
  }

  /** Agrees to the policy in force for these scopes; returns the record as the ledger has it. */
  async consent(scopes: readonly string[]): Promise<string> {
    const policy: { sha256: string } = await this.#ask('/api/policy');
    await this.#ask(`/api/devices/${this.deviceId}/consent/grant`, {
      scopes,
      policySha256: policy.sha256,
    });
    const { records }: { records: object[] } = await this.#ask(
      `/api/devices/${this.deviceId}/consent/log`,
    );
    return JSON.stringify(records.at(-1));
  }

  device(): Promise<DeviceState> {
    return this.#ask(`/api/devices/${this.deviceId}`);
  }

  async playUrl(): Promise<string> {
    const { url }: { url: string } = await this.#ask(`/api/devices/${this.deviceId}/play`, {});
    return url;
  }

  /** Takes everything recorded since `from` along as one MP4; returns its manifest. */
  async exportTo(file: string, from: Date): Promise<Manifest> {
    const range = `from=${from.toISOString()}&to=${new Date(Date.now() + 60_000).toISOString()}`;
    const path = `/api/devices/${this.deviceId}/export`;
    const manifest: Manifest = await this.#ask(`${path}/manifest?${range}`);
    const response = await this.#fetch(`${path}?${range}`);
    if (!response.ok || !response.body) throw new Error(await accepted(response));
    await pipeline(Readable.fromWeb(response.body), createWriteStream(`${file}.part`));
    await rename(`${file}.part`, file);
    return manifest;
  }

  async #ask<T>(path: string, body?: object): Promise<T> {
    const answer: T = JSON.parse(await accepted(await this.#fetch(path, body)));
    return answer;
  }

  #fetch(path: string, body?: object): Promise<Response> {
    const headers = { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' };
    return fetch(
      `${this.#url}${path}`,
      body
        ? { method: 'POST', headers, body: JSON.stringify(body) }
        : { headers: { authorization: headers.authorization } },
    );
  }
}

async function accepted(response: Response): Promise<string> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return text;
}
