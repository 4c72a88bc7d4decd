// One lenscap-claim.txt on a stick or boot partition: read with bounds, erased once used.
// INVARIANT: only a regular file is read or written, never what a symbolic link, device or pipe of
// that name leads to; erased is only the very file that was read.
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { toLenscapError } from '../../proto/errors.ts';
import { decodeSetupCode } from '../../proto/setup-code.ts';

const MAX_BYTES = 4096;
/** Of a later file system than the first check looked at: neither follow nor wait. */
const CAREFULLY = constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface ClaimFile {
  readonly path: string;
  /** Another one after each change. */
  readonly version: string;
  /** The first line that is a setup code; null when there is none. */
  readonly code: string | null;
  /** What is wrong where there is none; never with a part of the content. */
  readonly fault: string;
}

/** The file, or null when there is none. `known` saves reading a version that needs no new look. */
export async function readClaimFile(path: string, known?: ClaimFile): Promise<ClaimFile | null> {
  const found = await lstatOrNull(path);
  if (found === null) return null;
  const version = versionOf(found);
  if (known?.version === version) return known;
  if (!found.isFile()) return { path, version, code: null, fault: 'it is not a regular file' };
  try {
    const text = await readText(path, found);
    return { path, version, ...codeIn(text) };
  } catch (error) {
    return { path, version, code: null, fault: whyOf(error) };
  }
}

/**
 * Overwrites and removes a file whose code was used.
 * @returns what went wrong, or null. A file that was replaced since it was read is left alone.
 */
export async function eraseClaimFile({ path, version }: ClaimFile): Promise<string | null> {
  try {
    const found = await lstatOrNull(path);
    if (found === null || versionOf(found) !== version) return null;
    await overwrite(path, found);
    await unlink(path);
    await syncFolder(dirname(path));
    return null;
  } catch (error) {
    return whyOf(error);
  }
}

function versionOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${dev}.${ino}.${size}.${mtimeMs}.${ctimeMs}`;
}

async function lstatOrNull(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch {
    // Not there, a folder that may not be looked into, or a stick that was pulled out.
    return null;
  }
}

/** The file that `found` tells of, and not one that took its place. */
async function openSame(path: string, found: Stats, flags: number): Promise<FileHandle> {
  const file = await open(path, flags | CAREFULLY);
  const { dev, ino } = await file.stat();
  if (dev === found.dev && ino === found.ino && found.isFile()) return file;
  await file.close();
  throw new TypeError('it was replaced meanwhile');
}

async function readText(path: string, found: Stats): Promise<string> {
  const file = await openSame(path, found, constants.O_RDONLY);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
    const bytes = buffer.subarray(0, bytesRead);
    // Editors of Windows write UTF-16; the decoder drops the byte order mark of either.
    const isWide = bytes[0] === 0xff && bytes[1] === 0xfe;
    return new TextDecoder(isWide ? 'utf-16le' : 'utf-8').decode(bytes);
  } finally {
    await file.close();
  }
}

function codeIn(text: string): Pick<ClaimFile, 'code' | 'fault'> {
  let fault = 'it is empty';
  let longest = 0;
  for (const line of text.split(/[\r\n]+/).map((one) => one.trim())) {
    if (line === '') continue;
    try {
      decodeSetupCode(line);
      return { code: line, fault: '' };
    } catch (error) {
      // The longest line is the one that was meant.
      if (line.length <= longest) continue;
      longest = line.length;
      fault = toLenscapError(error).message;
    }
  }
  return { code: null, fault };
}

/** In place, so that the code does not stay behind in blocks that are free. */
async function overwrite(path: string, found: Stats): Promise<void> {
  const file = await openSame(path, found, constants.O_WRONLY);
  try {
    const zeros = Buffer.alloc(64 << 10);
    // No more than could have been read and a bit: a code stands in the first bytes.
    const length = Math.min(found.size, zeros.length);
    for (let at = 0; at < length; )
      at += (await file.write(zeros, 0, length - at, at)).bytesWritten;
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Without the path, which the log has as a field. */
function whyOf(error: unknown): string {
  if (error instanceof TypeError) return error.message;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code === '' ? 'it cannot be read or written' : `it cannot be read or written (${code})`;
}
