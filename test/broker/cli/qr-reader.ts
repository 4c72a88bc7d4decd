// Reads QR codes as a camera's pipeline does: with GStreamer's zbar.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PIXELS = 6;
const DARK = '█▄▀';

/** The text in a PNG, or undefined when none can be read. */
export function readPng(path: string): Promise<string | undefined> {
  return read(['filesrc', `location=${path}`, '!', 'pngdec']);
}

/**
 * The text in a code of half blocks, as a reader before the screen would see it. `light`: what is a
 * block is light, as on a terminal; else dark, as on paper.
 */
export async function readCharacters(
  folder: string,
  lines: readonly string[],
  light: boolean,
): Promise<string | undefined> {
  const width = Math.max(...lines.map((line) => line.length));
  const rows = lines.flatMap((line) => [
    [...line.padEnd(width)].map((block) => '█▀'.includes(block)),
    [...line.padEnd(width)].map((block) => '█▄'.includes(block)),
  ]);
  const pixels = rows.flatMap((row) => {
    const bytes = row.flatMap((isBlock) => Array(PIXELS).fill(isBlock === light ? 255 : 0));
    return Array(PIXELS).fill(bytes).flat();
  });
  const head = `P5\n${width * PIXELS} ${rows.length * PIXELS}\n255\n`;
  const path = join(folder, 'characters.pgm');
  await writeFile(path, Buffer.concat([Buffer.from(head), Buffer.from(pixels)]));
  return read(['filesrc', `location=${path}`, '!', 'pnmdec']);
}

/** Lines of the output that are of the code. */
export function linesOfCode(output: string): string[] {
  const lines = output.split('\n');
  const last = lines.findLastIndex((line) => [...DARK].some((block) => line.includes(block)));
  return lines.slice(0, last + 1);
}

async function read(source: readonly string[]): Promise<string | undefined> {
  const tail = ['!', 'videoconvert', '!', 'zbar', '!', 'fakesink'];
  const { stdout } = await run('gst-launch-1.0', ['-m', ...source, ...tail]);
  return /symbol=\(string\)"?([^",;]+)/.exec(stdout)?.[1]?.replaceAll('\\', '');
}
