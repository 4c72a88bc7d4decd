// User and password of a network camera, from a file that only its owner can read.
import { type FileHandle, open } from 'node:fs/promises';
import { LenscapError, toLenscapError } from '../../proto/errors.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

const MAX_BYTES = 4096;
const GROUP_AND_OTHERS = 0o077;

/** @throws CAPTURE_UNAUTHORIZED when the file is missing, open to others or of another form. */
export async function readCredentials(path: string): Promise<Credentials> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    return parseCredentials(await readPrivate(file), path);
  } catch (error) {
    if (error instanceof LenscapError) throw error;
    throw toLenscapError(error, 'CAPTURE_UNAUTHORIZED');
  } finally {
    await file?.close();
  }
}

async function readPrivate(file: FileHandle): Promise<string> {
  const { mode, size } = await file.stat();
  if ((mode & GROUP_AND_OTHERS) !== 0)
    throw new LenscapError(
      'CAPTURE_UNAUTHORIZED',
      'others can read the file of source.credentialsFile: chmod 600 it',
    );
  return size > MAX_BYTES ? '' : await file.readFile('utf8');
}

function parseCredentials(text: string, path: string): Credentials {
  const [line = '', ...rest] = text.replace(/\r?\n$/, '').split('\n');
  const colon = line.indexOf(':');
  if (colon < 1 || rest.length > 0)
    throw new LenscapError('CAPTURE_UNAUTHORIZED', `${path} has to hold one line user:password`);
  return { user: line.slice(0, colon), password: line.slice(colon + 1) };
}
