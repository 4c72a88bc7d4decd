// Codes as pictures, for screens and for a printer. The picture holds the code, so it is as secret as
// the code is.
import { qrText } from '../../proto/setup-code.ts';

/** Survives a smudge of 15 %, and keeps the modules large enough for a camera without focus. */
const ERROR_CORRECTION = 'M';
const MODULE_PIXELS = 8;

export interface QrImages {
  readonly svg: string;
  readonly png: Buffer;
}

/** The QR code of a setup code or of the code of a label. */
export async function qrImages(code: string): Promise<QrImages> {
  // Loaded when needed: the server and every verb start quicker without it.
  const { default: qrcode } = await import('qrcode');
  const options = { errorCorrectionLevel: ERROR_CORRECTION } as const;
  const text = qrText(code);
  return {
    svg: await qrcode.toString(text, { ...options, type: 'svg' }),
    png: await qrcode.toBuffer(text, { ...options, type: 'png', scale: MODULE_PIXELS }),
  };
}
