// Footage that fills a spool: noise of 2 Mbit/s with two whole GOPs a second, passed through as it is.
import { join } from 'node:path';
import { finished } from '../e2e/processes.ts';

const SECONDS = 10;
const PICTURES_PER_S = 10;
const KBPS = 2000;

/** Bytes of footage in a second. */
export const FOOTAGE_BYTES_PER_S = (KBPS * 1000) / 8;
/** Of a segment of one GOP. */
export const GOP_MS = 500;

/** Makes the footage in a folder; returns it as a source of the agent. */
export async function makeFootage(folder: string): Promise<object> {
  const path = join(folder, 'noise.mp4');
  const gop = `${(PICTURES_PER_S * GOP_MS) / 1000}`;
  const pattern = `testsrc2=size=320x240:rate=${PICTURES_PER_S},noise=alls=40:allf=t`;
  const rate = ['-b:v', `${KBPS}k`, '-maxrate', `${KBPS}k`, '-bufsize', `${KBPS / 2}k`];
  const { code, err } = await finished([
    ...['ffmpeg', '-v', 'error', '-f', 'lavfi', '-i', pattern, '-t', `${SECONDS}`],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-bf', '0', ...rate],
    ...['-g', gop, '-keyint_min', gop, '-sc_threshold', '0', path],
  ]);
  if (code !== 0) throw new Error(`no footage: ${err}`);
  return { type: 'file', path, loop: true };
}
