// How the owner's API is asked: one request, its answer, and what is wrong as a LenscapError. Errors of the
// server come out with the code it gave; what it cannot be asked comes out as SERVER_UNREACHABLE.
import { type ErrorCode, isErrorCode, LenscapError } from '../../proto/errors.ts';

export interface ApiDeps {
  /** Address of the server, e.g. http://127.0.0.1:8480. */
  readonly server: string;
  /** Of `login`; absent before it. */
  readonly token?: string;
  readonly timeoutMs?: number;
  /** Gives up what is being asked. */
  readonly signal?: AbortSignal;
}

const TIMEOUT_MS = 30_000;

export class Api {
  readonly #server: string;
  readonly #token: string | undefined;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;

  constructor({ server, token, timeoutMs = TIMEOUT_MS, signal }: ApiDeps) {
    this.#signal = signal ?? new AbortController().signal;
    this.#server = server.replace(/\/+$/, '');
    this.#token = token;
    this.#timeoutMs = timeoutMs;
  }

  /** An answer of JSON, whole and in time. */
  async json<T>(method: string, url: string, body?: unknown): Promise<T> {
    const response = await this.#ask(method, url, body, this.#inTime());
    try {
      const answer: T = JSON.parse(await response.text());
      return answer;
    } catch (error) {
      throw unreachable(this.#server, error);
    }
  }

  /** An answer of bytes, whole and in time. */
  async bytes(url: string): Promise<Uint8Array> {
    const response = await this.#ask('GET', url, undefined, this.#inTime());
    const bytes = await response.arrayBuffer().catch((error: unknown) => {
      throw unreachable(this.#server, error);
    });
    return new Uint8Array(bytes);
  }

  /** The same as it comes, however long it takes; an error while it comes is an error of the stream. */
  async stream(url: string): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#ask('GET', url, undefined, this.#signal);
    if (!response.body) throw new LenscapError('SERVER_UNREACHABLE', 'an empty answer');
    return response.body;
  }

  #inTime(): AbortSignal {
    return AbortSignal.any([this.#signal, AbortSignal.timeout(this.#timeoutMs)]);
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
