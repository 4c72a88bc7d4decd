// Codes that people carry from the owner to a board: the setup code, and the code on the label of a
// board. Both are bytes in Crockford's base32, in groups of five, closed by a CRC-32, so that a typing
// error is found where it is made. A code says where to go and whom to believe; who knows the secret
// in a setup code may give the board to the owner who made it.
import { isIP } from 'node:net';
import { crc32 } from 'node:zlib';
import { LenscapError } from './errors.ts';
import { isSerial } from './topics.ts';

/** Crockford's alphabet: no I, L, O or U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const GROUP = 5;
const SETUP = 1;
const LABEL = 2;
const CRC_BYTES = 4;
/** In a QR code, to tell ours from others; the letters keep to the QR alphanumeric mode. */
const QR_PREFIX = 'LENSCAP:';
const MAX_TEXT = 1000;
const HOST = /^[A-Za-z0-9.:-]{1,253}$/;

/** Bytes of a SHA-256 that a code carries: enough against a second authority with the same ones. */
export const FINGERPRINT_BYTES = 16;
export const SECRET_BYTES = 16;

export interface SetupCode {
  readonly host: string;
  readonly port: number;
  /** First 16 bytes of the SHA-256 of the authority's certificate (DER). */
  readonly caFingerprint: Buffer;
  /** 16 random bytes. */
  readonly secret: Buffer;
}

export interface LabelCode {
  readonly serial: string;
  /** First 16 bytes of the SHA-256 of the board's factory key (SPKI DER). */
  readonly keyFingerprint: Buffer;
}

/** The text of a setup code: groups of five characters, joined by hyphens. */
export function encodeSetupCode({ host, port, caFingerprint, secret }: SetupCode): string {
  const head = Buffer.alloc(1 + SECRET_BYTES + FINGERPRINT_BYTES + 2);
  head.writeUInt8(SETUP, 0);
  secret.copy(head, 1, 0, SECRET_BYTES);
  caFingerprint.copy(head, 1 + SECRET_BYTES, 0, FINGERPRINT_BYTES);
  head.writeUInt16BE(port, 1 + SECRET_BYTES + FINGERPRINT_BYTES);
  return textOf(Buffer.concat([head, Buffer.from(host, 'latin1')]));
}

/**
 * Takes what was typed, scanned or read from a file: case, spaces and hyphens do not matter.
 * @throws CODE_INVALID with what is wrong with it; never with the code itself.
 */
export function decodeSetupCode(text: string): SetupCode {
  const bytes = bytesOf(text, SETUP, 'setup code');
  const portAt = 1 + SECRET_BYTES + FINGERPRINT_BYTES;
  const host = bytes.subarray(portAt + 2).toString('latin1');
  const port = bytes.length > portAt + 2 ? bytes.readUInt16BE(portAt) : 0;
  if (port === 0 || !HOST.test(host) || (host.includes(':') && isIP(host) !== 6))
    throw new LenscapError('CODE_INVALID', 'it names no server; ask for a new one');
  return {
    host,
    port,
    secret: Buffer.from(bytes.subarray(1, 1 + SECRET_BYTES)),
    caFingerprint: Buffer.from(bytes.subarray(1 + SECRET_BYTES, portAt)),
  };
}

/** The text on the label of a board. */
export function encodeLabelCode({ serial, keyFingerprint }: LabelCode): string {
  const head = Buffer.from([LABEL]);
  const fingerprint = keyFingerprint.subarray(0, FINGERPRINT_BYTES);
  return textOf(Buffer.concat([head, fingerprint, Buffer.from(serial, 'latin1')]));
}

/** @throws CODE_INVALID. */
export function decodeLabelCode(text: string): LabelCode {
  const bytes = bytesOf(text, LABEL, 'code of a label');
  const serial = bytes.subarray(1 + FINGERPRINT_BYTES).toString('latin1');
  if (!isSerial(serial)) throw new LenscapError('CODE_INVALID', 'it names no serial number');
  return { serial, keyFingerprint: Buffer.from(bytes.subarray(1, 1 + FINGERPRINT_BYTES)) };
}

/** What a QR code holds. */
export function qrText(code: string): string {
  return `${QR_PREFIX}${code}`;
}

/** The code in the text of a QR code, or undefined when it is a QR code of something else. */
export function codeInQr(text: string): string | undefined {
  const head = text.slice(0, QR_PREFIX.length).toUpperCase();
  return head === QR_PREFIX && text.length <= MAX_TEXT ? text.slice(QR_PREFIX.length) : undefined;
}

function textOf(content: Buffer): string {
  const crc = Buffer.alloc(CRC_BYTES);
  crc.writeUInt32BE(crc32(content));
  const text = toBase32(Buffer.concat([content, crc]));
  return (text.match(new RegExp(`.{1,${GROUP}}`, 'g')) ?? []).join('-');
}

function bytesOf(text: string, kind: number, what: string): Buffer {
  const bare = text.length > MAX_TEXT ? '' : (codeInQr(text.trim()) ?? text);
  const bytes = fromBase32(bare.replace(/[\s-]/g, '').toUpperCase());
  const content = bytes?.subarray(0, -CRC_BYTES);
  if (!bytes || !content || content.length < 1 + FINGERPRINT_BYTES)
    throw new LenscapError('CODE_INVALID', `it is not a whole ${what}`);
  if (crc32(content) !== bytes.readUInt32BE(content.length))
    throw new LenscapError('CODE_INVALID', 'its checksum is wrong; look for a typing error');
  if (content[0] !== kind)
    throw new LenscapError('CODE_INVALID', `it is not a ${what} that this version knows`);
  return content;
}

function toBase32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const digits = bits.match(/.{1,5}/g) ?? [];
  return digits.map((digit) => ALPHABET.charAt(Number.parseInt(digit.padEnd(5, '0'), 2))).join('');
}

/** Undefined for a character outside of the alphabet, or bits left over that are not zero. */
function fromBase32(text: string): Buffer | undefined {
  const digits = [...text.replace(/[IL]/g, '1').replace(/O/g, '0')].map((one) =>
    ALPHABET.indexOf(one),
  );
  if (digits.includes(-1)) return undefined;
  const bits = digits.map((digit) => digit.toString(2).padStart(5, '0')).join('');
  const whole = bits.length - (bits.length % 8);
  if (bits.length - whole >= 5 || bits.slice(whole).includes('1')) return undefined;
  return Buffer.from(
    (bits.slice(0, whole).match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)),
  );
}
