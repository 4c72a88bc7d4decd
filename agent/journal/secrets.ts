// What this board keeps secret, as text: hidden wherever it turns up, whatever it looks like.
// INVARIANT: a secret that was told once is hidden for as long as the program runs, also in the forms
// in which programs like to write it: percent-encoded, base64, with escapes.
import { readFileSync } from 'node:fs';

/** Shorter ones would hide half of all text, and protect nothing. */
const LEAST_LENGTH = 4;
const MAX_SECRETS = 256;
export const HIDDEN = '[hidden]';

export class Secrets {
  #forms: readonly string[] = [];
  #count = 0;
  #version = 0;

  /** Changes with what is known, so that what was judged before can be forgotten. */
  get version(): number {
    return this.#version;
  }

  /** Too short ones are passed over. */
  add(...secrets: readonly string[]): void {
    const known = new Set(this.#forms);
    const isFresh = (secret: string): boolean =>
      secret.length >= LEAST_LENGTH && !known.has(secret);
    const fresh = [...new Set(secrets)].filter(isFresh);
    const forms = fresh.flatMap(formsOf).filter((form) => !known.has(form));
    if (forms.length === 0 || this.#count >= MAX_SECRETS) return;
    this.#count += fresh.length;
    this.#version += 1;
    // Longest first: a secret within another one would leave the rest of it.
    this.#forms = [...this.#forms, ...forms].sort((one, other) => other.length - one.length);
  }

  /** The text without them. */
  hide(text: string): string {
    let hidden = text;
    for (const form of this.#forms)
      if (hidden.includes(form)) hidden = hidden.replaceAll(form, HIDDEN);
    return hidden;
  }
}

function formsOf(secret: string): string[] {
  const base64 = Buffer.from(secret).toString('base64').replace(/=+$/, '');
  return [...new Set([secret, encodeSafely(secret), JSON.stringify(secret).slice(1, -1), base64])];
}

/** Half of a pair of surrogates has no such form. */
function encodeSafely(secret: string): string {
  return secret.isWellFormed() ? encodeURIComponent(secret) : secret;
}

/**
 * The secrets in a file of lines: each line, and what stands after its first colon, such as
 * `user:password`. Of a file that cannot be read there is nothing to hide.
 */
export function secretsOfFile(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split(/\r?\n/)
      .filter((line) => line !== '' && !line.startsWith('-----'))
      .flatMap((line) => [line, line.slice(line.indexOf(':') + 1)]);
  } catch {
    return [];
  }
}

const SECRET_NAME = /secret|key|password|psk|code/i;

/** The secrets in a file of JSON: texts whose name says so, and each line of them. */
export function secretsOfJson(path: string): string[] {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return textsOf('', value);
  } catch {
    return [];
  }
}

function textsOf(name: string, value: unknown): string[] {
  if (typeof value === 'string')
    return SECRET_NAME.test(name)
      ? value.split('\n').filter((line) => line !== '' && !line.startsWith('-----'))
      : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([inner, content]) => textsOf(inner, content));
}
