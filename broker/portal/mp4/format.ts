// What makes two sample entries the same format: everything but their bit rates, which muxers write
// by what they happened to see.
import { type Box, parseBoxes } from './boxes.ts';

/** From the start of the box to the boxes inside. */
const ENTRY_BYTES = { video: 86, audio: 36 } as const;
const ES_DESCRIPTOR = 3;
const DECODER_DESCRIPTOR = 4;
/** In a decoder descriptor, after object and stream type: buffer size, highest and mean bit rate. */
const RATES = { at: 2, bytes: 11 };

/** A key that is equal for entries of the same format. */
export function formatOf(kind: 'video' | 'audio', entry: Buffer): string {
  const head = entry.subarray(4, ENTRY_BYTES[kind]);
  const inner = parseBoxes(entry.subarray(ENTRY_BYTES[kind]))
    .filter(({ type }) => type !== 'btrt')
    .map((box) => (box.type === 'esds' ? withoutRates(box) : box.bytes));
  return Buffer.concat([head, ...inner]).toString('base64');
}

function withoutRates({ bytes, body }: Box): Buffer {
  const outer = descriptor(body, 4, ES_DESCRIPTOR);
  const decoder = outer === undefined ? undefined : descriptor(body, outer + 3, DECODER_DESCRIPTOR);
  if (decoder === undefined) return bytes;
  const masked = Buffer.from(body);
  masked.fill(0, decoder + RATES.at, decoder + RATES.at + RATES.bytes);
  return masked;
}

/** Where the content of a descriptor begins; undefined when another one stands there. */
function descriptor(body: Buffer, at: number, tag: number): number | undefined {
  if (body[at] !== tag) return undefined;
  let next = at + 1;
  while (((body[next] ?? 0) & 0x80) !== 0) next += 1;
  return next + 1;
}
