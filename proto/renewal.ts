// Renewal of a certificate over the device's own connection: Renewal asks with a CSR for a fresh key,
// Certificate answers.
import { type ErrorCode, isErrorCode, LenscapError } from './errors.ts';
import { parsed, text } from './fields.ts';
import { lenscap } from './wire.ts';

const WireRenewal = lenscap.v1.Renewal;
const WireCertificate = lenscap.v1.Certificate;
const MAX_CSR_BYTES = 2048;
const MAX_PEM = 16384;
const MAX_DETAIL = 200;

/** `csr` is PKCS #10, DER. */
export function encodeRenewal(csr: Uint8Array): Uint8Array {
  return WireRenewal.encode({ csr }).finish();
}

/** The CSR, DER. @throws DECODE_INVALID. */
export function decodeRenewal(payload: Uint8Array): Uint8Array {
  const { csr } = parsed('renewal', () => WireRenewal.decode(payload));
  if (csr.byteLength === 0 || csr.byteLength > MAX_CSR_BYTES)
    throw new LenscapError('DECODE_INVALID', `csr has to be 1 to ${MAX_CSR_BYTES} bytes`);
  return Uint8Array.from(csr);
}

export type Renewed =
  /** PEM. */
  | { readonly kind: 'issued'; readonly certificate: string }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly detail: string };

export function encodeRenewed(renewed: Renewed): Uint8Array {
  return WireCertificate.encode(
    renewed.kind === 'issued'
      ? { certificate: renewed.certificate }
      : { code: renewed.code, detail: renewed.detail.slice(0, MAX_DETAIL) },
  ).finish();
}

/** @throws DECODE_INVALID. */
export function decodeRenewed(payload: Uint8Array): Renewed {
  const { certificate, code, detail } = parsed('certificate', () =>
    WireCertificate.decode(payload),
  );
  if (code === '' && certificate !== '')
    return { kind: 'issued', certificate: text('certificate', certificate, MAX_PEM) };
  if (!isErrorCode(code))
    throw new LenscapError('DECODE_INVALID', 'a refusal bears an error code of the table');
  return { kind: 'refused', code, detail: text('detail', detail, MAX_DETAIL) };
}
