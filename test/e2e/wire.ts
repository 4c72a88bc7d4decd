// Messages as bytes that no honest encoder makes, and grants as they are, unverified.
import { lenscap } from '../../proto/wire.ts';

export const { Segment, Stream, Gap } = lenscap.v1;

/** What a grant says, whoever signed it. */
export function decodeGrantBody(payload: Uint8Array): { readonly epoch: number } {
  const { body } = lenscap.v1.Grant.decode(payload);
  return { epoch: Number(lenscap.v1.GrantBody.decode(body).epoch) };
}
