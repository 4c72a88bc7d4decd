// The saved login: server and token in one file of mode 0600, replaced as a whole or not at all.
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LenscapError } from '../../proto/errors.ts';
import { documentChecker } from '../../proto/validate.ts';

export interface Saved {
  readonly server: string;
  readonly token: string;
  readonly email: string;
  readonly expiresAt: string;
}

const text = { type: 'string', minLength: 1, maxLength: 2000 };
const check = documentChecker<Saved>(
  {
    type: 'object',
    required: ['server', 'token', 'email', 'expiresAt'],
    additionalProperties: false,
    properties: { server: text, token: text, email: text, expiresAt: text },
  },
  'CONFIG_INVALID',
);

export class Credentials {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get path(): string {
    return join(this.#folder, 'credentials.json');
  }

  /** @throws CONFIG_INVALID when the file is damaged. */
  async read(): Promise<Saved | undefined> {
    const content = await readFile(this.path, 'utf8').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (content === undefined) return undefined;
    try {
      return check(JSON.parse(content), this.path);
    } catch (error) {
      throw new LenscapError('CONFIG_INVALID', `${this.path} is damaged; log in again`, {
        cause: error,
      });
    }
  }

  async write(saved: Saved): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await writeWhole(this.path, `${JSON.stringify(saved, null, 2)}\n`, 0o600);
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

/** Writes a file beside its place and renames it into it. */
export async function writeWhole(
  path: string,
  content: string | Buffer,
  mode = 0o644,
): Promise<void> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.part`;
  try {
    await writeFile(temporary, content, { mode, flag: 'wx' });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
