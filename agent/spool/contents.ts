// What lies in the folder of the spool, read without changing anything. INVARIANT: only files with the
// name of a record count, and each is what its name says or damaged.
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { LenscapError } from '../../proto/errors.ts';
import { codeOf, storeError } from '../durable-file.ts';
import {
  decodeHeader,
  fileBytesOf,
  HEADER_BYTES,
  openHead,
  openingBytesOf,
  RECORD_KINDS,
  type RecordHeader,
  type RecordId,
  type SpoolKey,
} from './record.ts';

const NAME = /^(\d{20})\.([a-z]+)$/;
const NUMBER_DIGITS = 20;
/** What a file is made ready under; a leftover of a crash is worth nothing. */
const FRESH = '.new';
/** A file takes whole blocks. */
const BLOCK_BYTES = 4096;
/** Enough for the head of nearly every record, so that one read does. */
const FIRST_READ_BYTES = 4096;
/** What a record is opened with; a name that became a link or a pipe is no record. */
export const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export function nameOf({ number, kind }: RecordId): string {
  return `${String(number).padStart(NUMBER_DIGITS, '0')}.${kind}`;
}

export function freshNameOf(name: string): string {
  return `${name}${FRESH}`;
}

/** The record of a file name, or null when it is not one. */
export function idOf(name: string): RecordId | null {
  const [, digits, ending] = NAME.exec(name) ?? [];
  const kind = RECORD_KINDS.find((one) => one === ending);
  const number = Number(digits);
  return kind === undefined || !Number.isSafeInteger(number) ? null : { number, kind };
}

/** Bytes on flash of a file. */
export function blocksOf(fileBytes: number): number {
  return Math.ceil(fileBytes / BLOCK_BYTES) * BLOCK_BYTES;
}

export interface Names {
  /** In order. */
  readonly records: readonly RecordId[];
  readonly leftovers: readonly string[];
}

/** @throws STORE_FAILED. A folder that is not there is empty. */
export function namesIn(folder: string): Names {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return { records: [], leftovers: [] };
    throw storeError(`${folder} cannot be read`, error);
  }
  const records = names.map(idOf).filter((id) => id !== null);
  return {
    records: records.sort(inOrder),
    leftovers: names.filter((name) => name.endsWith(FRESH)),
  };
}

/** By number; a stream before what could bear the same number. */
function inOrder(one: RecordId, other: RecordId): number {
  return (
    one.number - other.number || RECORD_KINDS.indexOf(one.kind) - RECORD_KINDS.indexOf(other.kind)
  );
}

/** The head of a file as it was found; `erased`: its key was destroyed, `gone`: there is no file. */
export type Look =
  | {
      readonly is: 'whole';
      readonly header: RecordHeader;
      readonly head: Buffer;
      readonly fileBytes: number;
      readonly writtenAtMs: number;
    }
  | { readonly is: 'damaged'; readonly why: string; readonly fileBytes: number }
  | { readonly is: 'erased'; readonly fileBytes: number }
  | { readonly is: 'gone' };

export interface Opener {
  readonly deviceId: string;
  byId(keyId: number): SpoolKey | undefined;
}

/** Opens the head of one record. @throws STORE_FAILED when that says nothing about the record. */
export function lookAt(folder: string, id: RecordId, opener: Opener): Look {
  let fd: number;
  try {
    fd = openSync(join(folder, nameOf(id)), READ_FLAGS);
  } catch (error) {
    return faultOf(error, id, 0);
  }
  let fileBytes = 0;
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile())
      return { is: 'damaged', why: 'the name is not that of a regular file', fileBytes };
    fileBytes = stat.size;
    const bytes = opening(fd, fileBytes);
    const header = decodeHeader(bytes);
    const whole = fileBytesOf(header.headBytes, header.mediaBytes);
    if (fileBytes !== whole || header.number !== id.number || header.kind !== id.kind)
      return { is: 'damaged', why: 'the file is not what its name or header says', fileBytes };
    const key = opener.byId(header.keyId);
    if (key === undefined) return { is: 'erased', fileBytes };
    const head = openHead(bytes, opener.deviceId, key);
    return { is: 'whole', header, head, fileBytes, writtenAtMs: stat.mtimeMs };
  } catch (error) {
    return faultOf(error, id, fileBytes);
  } finally {
    closeSync(fd);
  }
}

/** The bytes that opening the head takes, in one read if it is as small as most. */
function opening(fd: number, fileBytes: number): Buffer {
  const first = readUpTo(fd, Buffer.alloc(0), Math.min(fileBytes, FIRST_READ_BYTES));
  if (first.byteLength < HEADER_BYTES) return first;
  const needed = Math.min(openingBytesOf(decodeHeader(first)), fileBytes);
  return needed <= first.byteLength ? first : readUpTo(fd, first, needed);
}

function readUpTo(fd: number, start: Buffer, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let at = start.copy(bytes);
  while (at < length) {
    const count = readSync(fd, bytes, at, length - at, at);
    if (count === 0) break;
    at += count;
  }
  return bytes.subarray(0, at);
}

/** What an error tells of a record: damage, that it is not there, or nothing (thrown on). */
function faultOf(error: unknown, id: RecordId, fileBytes: number): Look {
  if (codeOf(error) === 'ENOENT') return { is: 'gone' };
  if (isDamage(error)) {
    const why = error instanceof LenscapError ? error.detail : 'the file cannot be read';
    return { is: 'damaged', why, fileBytes };
  }
  throw storeError(`${nameOf(id)} cannot be read`, error);
}

function isDamage(error: unknown): boolean {
  if (error instanceof LenscapError) return error.code === 'STORE_CORRUPT';
  const code = codeOf(error);
  // A bad sector; a link.
  return code === 'EIO' || code === 'ELOOP';
}
