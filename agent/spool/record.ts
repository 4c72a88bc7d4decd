// The format of one file of the spool, version 1 (FORMAT.md): a plain header, a sealed head, sealed
// media. Pure. INVARIANT: nothing is given out that was not authenticated together with its device,
// header and part; whatever is not exactly what was sealed is STORE_CORRUPT.
import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  type DecipherGCM,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { crc32 } from 'node:zlib';
import { LenscapError } from '../../proto/errors.ts';
import { SCOPES, type Scope } from '../../proto/scopes.ts';

/** In the order of their numbers in the format, from 1. */
export const RECORD_KINDS = ['stream', 'segment', 'gap', 'event'] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

export interface RecordId {
  readonly number: number;
  readonly kind: RecordKind;
}

export interface NewRecord extends RecordId {
  readonly scopes: readonly Scope[];
  readonly head: Uint8Array;
  /** In pieces, in order; none but for a segment. */
  readonly media: readonly Uint8Array[];
}

export interface RecordHeader extends RecordId {
  readonly scopes: readonly Scope[];
  readonly keyId: number;
  /** Plain bytes; sealed they are SEAL_BYTES more. */
  readonly headBytes: number;
  readonly mediaBytes: number;
}

/** A key with the number by which records name it. */
export interface SpoolKey {
  readonly id: number;
  readonly secret: KeyObject;
}

const MAGIC = 'LCSP';
const VERSION = 1;
export const HEADER_BYTES = 32;
const CRC_AT = HEADER_BYTES - 4;
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEAL_BYTES = NONCE_BYTES + TAG_BYTES;
/** Sealed and opened in one go, so that nothing else waits long. */
const PIECE_BYTES = 256 * 1024;
/** A head is a protobuf message: small, but for the init bytes of a stream. */
const MAX_HEAD_BYTES = 1024 * 1024;

/** Length of a file with a head and media of so many bytes. */
export function fileBytesOf(headBytes: number, mediaBytes: number): number {
  const sealedMedia = mediaBytes === 0 ? 0 : SEAL_BYTES + mediaBytes;
  return HEADER_BYTES + SEAL_BYTES + headBytes + sealedMedia;
}

/** Length of the part of a file that has to be read to open its head. */
export function openingBytesOf({ headBytes }: Pick<RecordHeader, 'headBytes'>): number {
  return fileBytesOf(headBytes, 0);
}

export function mediaBytesOf(media: readonly Uint8Array[]): number {
  return media.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

export function encodeHeader(header: RecordHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.write(MAGIC, 0, 'latin1');
  bytes.writeUInt8(VERSION, 4);
  bytes.writeUInt8(RECORD_KINDS.indexOf(header.kind) + 1, 5);
  bytes.writeUInt16BE(
    header.scopes.reduce((bits, scope) => bits | (1 << SCOPES.indexOf(scope)), 0),
    6,
  );
  bytes.writeUInt32BE(header.keyId, 8);
  bytes.writeBigUInt64BE(BigInt(header.number), 12);
  bytes.writeUInt32BE(header.headBytes, 20);
  bytes.writeUInt32BE(header.mediaBytes, 24);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, CRC_AT)), CRC_AT);
  return bytes;
}

/** The header at the start of `bytes`. @throws STORE_CORRUPT. */
export function decodeHeader(bytes: Buffer): RecordHeader {
  if (bytes.byteLength < HEADER_BYTES || bytes.toString('latin1', 0, 4) !== MAGIC)
    throw damaged('the file does not begin as a record does');
  if (bytes.readUInt32BE(CRC_AT) !== crc32(bytes.subarray(0, CRC_AT)))
    throw damaged('the checksum of the header is wrong');
  const version = bytes.readUInt8(4);
  if (version !== VERSION) throw damaged(`the record is of version ${version}, not ${VERSION}`);
  const kind = RECORD_KINDS[bytes.readUInt8(5) - 1];
  const bits = bytes.readUInt16BE(6);
  const number = Number(bytes.readBigUInt64BE(12));
  const headBytes = bytes.readUInt32BE(20);
  const isKnown = kind !== undefined && bits >> SCOPES.length === 0;
  if (!isKnown || !Number.isSafeInteger(number) || headBytes > MAX_HEAD_BYTES)
    throw damaged('the header says what no header says');
  const scopes = SCOPES.filter((_, at) => (bits & (1 << at)) !== 0);
  const keyId = bytes.readUInt32BE(8);
  return { number, kind, scopes, keyId, headBytes, mediaBytes: bytes.readUInt32BE(24) };
}

/**
 * The bytes of the file, piece by piece.
 * @param nonces for a head and for media, never used twice with a key.
 */
export function* sealed(
  record: NewRecord,
  deviceId: string,
  key: SpoolKey,
  nonces: { readonly head: Uint8Array; readonly media: Uint8Array } = freshNonces(),
): Generator<Buffer> {
  const { head, media, ...rest } = record;
  const mediaBytes = mediaBytesOf(media);
  const header = encodeHeader({
    ...rest,
    keyId: key.id,
    headBytes: head.byteLength,
    mediaBytes,
  });
  const ofHead = cipher(key, nonces.head, bound(deviceId, 'head', header));
  const sealedHead = [ofHead.update(head), ofHead.final(), ofHead.getAuthTag()];
  yield Buffer.concat([header, nonces.head, ...sealedHead]);
  if (mediaBytes === 0) return;
  const ofMedia = cipher(key, nonces.media, bound(deviceId, 'media', header));
  yield Buffer.from(nonces.media);
  for (const chunk of media) for (const piece of pieces(chunk)) yield ofMedia.update(piece);
  yield Buffer.concat([ofMedia.final(), ofMedia.getAuthTag()]);
}

/** The head of a record whose file begins with `bytes`. @throws STORE_CORRUPT. */
export function openHead(bytes: Buffer, deviceId: string, key: SpoolKey): Buffer {
  const { headBytes } = decodeHeader(bytes);
  const end = fileBytesOf(headBytes, 0);
  if (bytes.byteLength < end) throw damaged('the file ends within the head');
  const part = bytes.subarray(HEADER_BYTES, end);
  const opening = decipher(key, part, bound(deviceId, 'head', bytes.subarray(0, HEADER_BYTES)));
  return Buffer.concat([opening.update(cipherText(part)), verified(opening, 'head')]);
}

/**
 * Opens the media of a whole file step by step; the last step returns them.
 * @throws STORE_CORRUPT.
 */
export function* openMedia(
  bytes: Buffer,
  deviceId: string,
  key: SpoolKey,
): Generator<undefined, Buffer> {
  const { headBytes, mediaBytes } = decodeHeader(bytes);
  if (bytes.byteLength !== fileBytesOf(headBytes, mediaBytes))
    throw damaged(`the file is ${bytes.byteLength} bytes long, not what the header says`);
  if (mediaBytes === 0) return Buffer.alloc(0);
  const part = bytes.subarray(fileBytesOf(headBytes, 0));
  const opening = decipher(key, part, bound(deviceId, 'media', bytes.subarray(0, HEADER_BYTES)));
  const media = Buffer.allocUnsafe(mediaBytes);
  let at = 0;
  for (const piece of pieces(cipherText(part))) {
    at += opening.update(piece).copy(media, at);
    yield undefined;
  }
  verified(opening, 'media');
  return media;
}

function freshNonces() {
  return { head: randomBytes(NONCE_BYTES), media: randomBytes(NONCE_BYTES) };
}

/** What is authenticated beside the content: of whom it is, what it is, which part. */
function bound(deviceId: string, part: 'head' | 'media', header: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`lenscap spool 1\n${deviceId}\n${part}\n`), header]);
}

function cipher({ secret }: SpoolKey, nonce: Uint8Array, aad: Buffer): CipherGCM {
  return createCipheriv(CIPHER, secret, nonce, { authTagLength: TAG_BYTES }).setAAD(aad);
}

function decipher({ secret }: SpoolKey, part: Buffer, aad: Buffer): DecipherGCM {
  return createDecipheriv(CIPHER, secret, part.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
    .setAAD(aad)
    .setAuthTag(part.subarray(part.byteLength - TAG_BYTES));
}

function cipherText(part: Buffer): Buffer {
  return part.subarray(NONCE_BYTES, part.byteLength - TAG_BYTES);
}

function verified(opening: DecipherGCM, part: string): Buffer {
  try {
    return opening.final();
  } catch (error) {
    throw damaged(`the ${part} is not what was sealed`, { cause: error });
  }
}

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES)
    yield bytes.subarray(at, at + PIECE_BYTES);
}

function damaged(why: string, options?: ErrorOptions): LenscapError {
  return new LenscapError('STORE_CORRUPT', why, options);
}
