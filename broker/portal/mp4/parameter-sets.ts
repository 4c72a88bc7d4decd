// H.264 parameter sets out of sample entries, to stand in front of pictures as well. A file with
// several sample entries names the right one for each fragment, which ffmpeg does not heed: it
// decodes such a file only with the sets in the stream.
import { boxIn, corrupt, parseBoxes } from './boxes.ts';

/** From the start of the box to the boxes inside: header and VisualSampleEntry. */
const VISUAL_ENTRY_BYTES = 86;
const NAL_DELIMITER = 9;

export interface ParameterSets {
  /** Of the length in front of each NAL unit. */
  readonly lengthBytes: number;
  /** NAL units, each with its length in front. */
  readonly units: Buffer;
}

/** Parameter sets of a sample entry; undefined when it is not H.264. @throws STORE_CORRUPT. */
export function parameterSetsOf(entry: Buffer): ParameterSets | undefined {
  const type = parseBoxes(entry)[0]?.type;
  if (type !== 'avc1' && type !== 'avc3') return undefined;
  const { body } = boxIn(entry.subarray(VISUAL_ENTRY_BYTES), 'avcC');
  const lengthBytes = ((body[4] ?? 0) & 3) + 1;
  const sequence = readUnits(body, 6, (body[5] ?? 0) & 31, lengthBytes);
  const picture = readUnits(body, sequence.end + 1, body[sequence.end] ?? 0, lengthBytes);
  return { lengthBytes, units: Buffer.concat([...sequence.units, ...picture.units]) };
}

function readUnits(
  body: Buffer,
  start: number,
  count: number,
  lengthBytes: number,
): { units: Buffer[]; end: number } {
  const units: Buffer[] = [];
  let at = start;
  for (let unit = 0; unit < count; unit += 1) {
    if (at + 2 > body.length) throw corrupt('parameter sets are cut off');
    const length = body.readUInt16BE(at);
    const bytes = body.subarray(at + 2, at + 2 + length);
    const prefix = Buffer.alloc(lengthBytes);
    prefix.writeUIntBE(bytes.length, 0, lengthBytes);
    units.push(prefix, bytes);
    at += 2 + length;
  }
  return { units, end: at };
}

/** Bytes of a leading access unit delimiter, behind which parameter sets have to stand. */
export function delimiterBytes(sample: Buffer, lengthBytes: number): number {
  if (sample.length <= lengthBytes) return 0;
  const length = sample.readUIntBE(0, lengthBytes);
  const type = (sample[lengthBytes] ?? 0) & 31;
  return type === NAL_DELIMITER ? lengthBytes + length : 0;
}
