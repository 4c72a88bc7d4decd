// Reads the images of masks: PNG of one bit a pixel, unfiltered.
import { inflateSync } from 'node:zlib';

export function pixelsOfPng(png: Buffer) {
  const parts = new Map<string, Buffer>();
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    parts.set(png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const header = parts.get('IHDR') ?? Buffer.alloc(13);
  const lines = inflateSync(parts.get('IDAT') ?? Buffer.alloc(0));
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const stride = 1 + Math.ceil(width / 8);
  const isSet = (x: number, y: number): boolean =>
    ((lines[y * stride + 1 + (x >> 3)] ?? 0) & (0x80 >> (x & 7))) !== 0;
  return { width, height, isSet };
}
