// Pictures to look at: bright clips to be captured, and decoded frames of what was stored.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ffmpeg } from './harness.ts';

const run = promisify(execFile);

/** A decoded frame: one byte of luma a pixel, 0 to 255. */
export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly luma: Buffer;
}

export const WIDTH = 320;
export const HEIGHT = 240;
export const RATE = 15;

/** A clip without a dark spot: bright, and never the same twice. `codec`: of ffmpeg. */
export async function brightClip(dir: string, codec: 'mjpeg' | 'libx264', seconds = 12) {
  const path = join(dir, `bright-${codec}.mkv`);
  const picture = `color=c=0xD0D0D0:s=${WIDTH}x${HEIGHT}:r=${RATE},noise=alls=30:allf=t:all_seed=7`;
  const coded = codec === 'libx264' ? ['-preset', 'ultrafast', '-g', `${RATE}`, '-bf', '0'] : [];
  await ffmpeg(
    ...['-f', 'lavfi', '-i', picture, '-t', `${seconds}`, '-c:v', codec, ...coded],
    ...['-pix_fmt', codec === 'mjpeg' ? 'yuvj420p' : 'yuv420p', path],
  );
  return path;
}

/** A clip whose left upper quarter is white and whose rest is gray. */
export async function cornerClip(dir: string): Promise<string> {
  const path = join(dir, 'corner.mkv');
  const white = `color=c=0x606060:s=${WIDTH}x${HEIGHT}:r=${RATE},drawbox=x=0:y=0:w=${WIDTH / 2}:h=${HEIGHT / 2}:c=white:t=fill`;
  await ffmpeg('-f', 'lavfi', '-i', white, '-t', '8', '-c:v', 'mjpeg', path);
  return path;
}

/** All frames of a film or a picture. */
export async function framesOf(path: string): Promise<Frame[]> {
  const probe = ['-v', 'error', '-select_streams', 'v', '-show_entries', 'stream=width,height'];
  const { stdout: size } = await run('ffprobe', [...probe, '-of', 'csv=p=0', path]);
  const [width = 0, height = 0] = size.trim().split(',').map(Number);
  const { stdout } = await run(
    'ffmpeg',
    [
      '-v',
      'error',
      '-i',
      path,
      '-fps_mode',
      'passthrough',
      '-vf',
      'format=gray',
      '-f',
      'rawvideo',
      '-',
    ],
    { encoding: 'buffer', maxBuffer: 1 << 30 },
  );
  const frames: Frame[] = [];
  for (let at = 0; at < stdout.length; at += width * height)
    frames.push({ width, height, luma: stdout.subarray(at, at + width * height) });
  return frames;
}

/** Luma of the pixels of a rectangle, in shares of the picture. */
export function part({ width, height, luma }: Frame, [left, top, right, bottom]: Rectangle) {
  const values: number[] = [];
  for (let y = Math.round(top * height); y < Math.round(bottom * height); y += 1)
    for (let x = Math.round(left * width); x < Math.round(right * width); x += 1)
      values.push(luma[y * width + x] ?? 0);
  return { max: Math.max(...values), min: Math.min(...values), mean: meanOf(values) };
}

export type Rectangle = readonly [left: number, top: number, right: number, bottom: number];

/** A rectangle as a mask. */
export function maskOf([left, top, right, bottom]: Rectangle) {
  return [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ] as const;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
