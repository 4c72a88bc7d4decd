// The exchange by which a board gets its identity. Who asks proves that he knows the secret of the
// setup code without sending it: the proof covers this TLS session (RFC 5705 exporter) and the CSR, so
// that it can neither be replayed nor be used for another key.
import { createHmac, hash, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { type ErrorCode, isErrorCode, LenscapError } from './errors.ts';
import { parsed, text, whole } from './fields.ts';
import { isDeviceId } from './topics.ts';
import { lenscap } from './wire.ts';

const WireRequest = lenscap.v1.ClaimRequest;
const WireAnswer = lenscap.v1.ClaimAnswer;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const EXPORTER_LABEL = 'EXPERIMENTAL lenscap claim v1';
const EXPORTER_BYTES = 32;
const PROOF_BYTES = 32;
const MAX_CSR_BYTES = 2048;
const MAX_PEM = 16384;
const MAX_DETAIL = 200;

/** Name of a claim, `claim-` and 16 characters; says nothing of the secret. */
export function claimIdOf(secret: Uint8Array): string {
  const id = derive(secret, 'lenscap claim id v1', 16);
  return `claim-${[...id].map((byte) => BASE32.charAt(byte & 31)).join('')}`;
}

/** Key of the proofs of a claim, 32 bytes. The server keeps it instead of the secret. */
export function proofKeyOf(secret: Uint8Array): Buffer {
  return derive(secret, 'lenscap claim proof v1', 32);
}

function derive(secret: Uint8Array, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', purpose, bytes));
}

/** 32 bytes that only the two ends of this TLS session know. */
export function sessionSecretOf(socket: TLSSocket): Buffer {
  return socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
}

/** Proof of knowing `proofKey`, for this session and this CSR (DER). */
export function proofOf(proofKey: Uint8Array, sessionSecret: Uint8Array, csr: Uint8Array): Buffer {
  return createHmac('sha256', proofKey)
    .update('lenscap claim v1\n')
    .update(sessionSecret)
    .update(hash('sha256', csr, 'buffer'))
    .digest();
}

/** In constant time. */
export function isProof(proof: Uint8Array, expected: Uint8Array): boolean {
  return proof.byteLength === expected.byteLength && timingSafeEqual(proof, expected);
}

export interface ClaimRequest {
  /** PKCS #10, DER. */
  readonly csr: Uint8Array;
  /** 32 bytes; empty for a board that proves itself by its factory key. */
  readonly proof: Uint8Array;
  /** The id that the board has already and wants to keep; null for a new one. */
  readonly deviceId: string | null;
}

export function encodeClaimRequest({ csr, proof, deviceId }: ClaimRequest): Uint8Array {
  return WireRequest.encode({ csr, proof, deviceId: deviceId ?? '' }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeClaimRequest(payload: Uint8Array): ClaimRequest {
  const wire = parsed('claim request', () => WireRequest.decode(payload));
  const { csr, proof, deviceId } = wire;
  if (csr.byteLength === 0 || csr.byteLength > MAX_CSR_BYTES)
    throw new LenscapError('DECODE_INVALID', `csr has to be 1 to ${MAX_CSR_BYTES} bytes`);
  if (proof.byteLength !== 0 && proof.byteLength !== PROOF_BYTES)
    throw new LenscapError('DECODE_INVALID', `proof has to be ${PROOF_BYTES} bytes or absent`);
  if (deviceId !== '' && !isDeviceId(deviceId))
    throw new LenscapError('DECODE_INVALID', 'device_id has to be a device id or absent');
  return {
    csr: Uint8Array.from(csr),
    proof: Uint8Array.from(proof),
    deviceId: deviceId === '' ? null : deviceId,
  };
}

/** What the board needs besides its key. PEM where not said otherwise. */
export interface Issued {
  readonly deviceId: string;
  readonly certificate: string;
  readonly ca: string;
  /** SPKI, Ed25519. */
  readonly consentKey: string;
  readonly server: { readonly host: string; readonly port: number };
}

export type ClaimAnswer =
  | ({ readonly kind: 'issued' } & Issued)
  | {
      readonly kind: 'refused';
      readonly code: ErrorCode;
      readonly detail: string;
      /** Seconds after which asking again makes sense; 0 = never. */
      readonly retryAfterS: number;
    };

export function encodeClaimAnswer(answer: ClaimAnswer): Uint8Array {
  if (answer.kind === 'refused')
    return WireAnswer.encode({ ...answer, detail: answer.detail.slice(0, MAX_DETAIL) }).finish();
  const { server, ...issued } = answer;
  return WireAnswer.encode({ ...issued, ...server }).finish();
}

/** @throws DECODE_INVALID. */
export function decodeClaimAnswer(payload: Uint8Array): ClaimAnswer {
  const wire = parsed('claim answer', () => WireAnswer.decode(payload));
  if (wire.code !== '') {
    if (!isErrorCode(wire.code))
      throw new LenscapError('DECODE_INVALID', 'a refusal bears an error code of the table');
    return {
      kind: 'refused',
      code: wire.code,
      detail: text('detail', wire.detail, MAX_DETAIL),
      retryAfterS: whole('retry_after_s', wire.retryAfterS, 0, 86_400),
    };
  }
  if (!isDeviceId(wire.deviceId)) throw new LenscapError('DECODE_INVALID', 'no device id');
  return {
    kind: 'issued',
    deviceId: wire.deviceId,
    certificate: text('certificate', wire.certificate, MAX_PEM),
    ca: text('ca', wire.ca, MAX_PEM),
    consentKey: text('consent_key', wire.consentKey, MAX_PEM),
    server: { host: text('host', wire.host, 253), port: whole('port', wire.port, 1, 65_535) },
  };
}
