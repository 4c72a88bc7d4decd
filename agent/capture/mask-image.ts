// The picture that is laid over the masked part of the frame: black where the raster says so, clear
// elsewhere. A PNG of one bit a pixel, since the element that draws it reads files. Pure.
import { crc32, deflateSync } from 'node:zlib';
import { BLOCK, type Box, isBlackAt, type Raster } from './mask-raster.ts';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** One bit a pixel, of a palette. */
const FORMAT = [1, 3, 0, 0, 0];

/** The part of a raster in `box`. */
export function maskImage(raster: Raster, box: Box): Buffer {
  const stride = 1 + Math.ceil(box.width / 8);
  const lines = Buffer.alloc(stride * box.height);
  // The box begins with a block, and a block is whole bytes.
  for (let y = 0; y < box.height; y += BLOCK) {
    const line = Buffer.alloc(stride);
    for (let at = 1; at < stride; at += 1)
      if (isBlackAt(raster, box.x + (at - 1) * 8, box.y + y)) line[at] = 0xff;
    for (let copy = y; copy < Math.min(y + BLOCK, box.height); copy += 1)
      lines.set(line, copy * stride);
  }
  const header = Buffer.alloc(8 + FORMAT.length);
  header.writeUInt32BE(box.width, 0);
  header.writeUInt32BE(box.height, 4);
  header.set(FORMAT, 8);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', Buffer.alloc(6)),
    chunk('tRNS', Buffer.from([0x00, 0xff])),
    chunk('IDAT', deflateSync(lines)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}
