// The QR code of a setup code, of characters.
import qrcode from 'qrcode';
import { qrText } from '../../proto/setup-code.ts';

/** What readers of codes want around one, in modules; even, since a line of text has two rows. */
const MARGIN = 4;

/** Twice: the light parts as blocks, for a terminal; and the dark ones, for paper. */
export async function qrCharacters(code: string): Promise<{ lit: string; ink: string }> {
  const options = { type: 'utf8', errorCorrectionLevel: 'M', margin: MARGIN } as const;
  const text = qrText(code);
  const inverted = { dark: '#ffffff', light: '#000000' };
  return {
    lit: await qrcode.toString(text, { ...options, color: inverted }),
    ink: await qrcode.toString(text, options),
  };
}
