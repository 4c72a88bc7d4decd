// What a board does with a setup code that the command line printed, without the wire.
import { decodeSetupCode } from '../../../proto/setup-code.ts';
import { Board, idOf, serialOf } from '../fleet/house.ts';
import type { House } from '../portal/house.ts';

/** The line of the output with the code. */
export const CODE = /^Setup code: ([0-9A-Z-]{60,})\r?$/m;

/** The latest claim of the account. */
export async function latest(house: House): Promise<string | undefined> {
  return (await house.installation.claims.list(house.anna.accountId))[0]?.claim_id;
}

/** Claims with the latest code and connects; the device's id. */
export async function claimWith(house: House, code: string): Promise<string> {
  const claimId = (await latest(house)) ?? '';
  const { secret } = decodeSetupCode(code);
  const answer = await (await Board.make()).claim(house.installation, { claimId, secret });
  await house.installation.certificates.used(serialOf(answer));
  return idOf(answer);
}
