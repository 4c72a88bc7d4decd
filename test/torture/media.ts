// Whether what is stored of a camera can be watched: its export, decoded to the end.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { House } from '../e2e/house.ts';
import { finished } from '../e2e/processes.ts';

/** Decodes all of it to nowhere, each picture as it comes: that two lie close together is no fault. */
const PICTURES = ['-map', '0:v', '-fps_mode', 'passthrough', '-enc_time_base', '1:90000'];
const SOUND = ['-map', '0:a', '-f', 's16le', '/dev/null'];

/**
 * What ffmpeg says against the export of everything of a camera; empty when it decodes.
 * @param hasSound whether there is sound in it that has to decode as well.
 */
export async function decodingFaults(house: House, id: string, hasSound: boolean): Promise<string> {
  const span = 'from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z';
  const response = await house.fetch('GET', `/api/devices/${id}/export?${span}`);
  if (!response.ok) return `${response.status} ${await response.text()}`;
  const file = join(house.folder, '..', `${id}.mp4`);
  writeFileSync(file, Buffer.from(await response.arrayBuffer()));
  const { code, err } = await finished([
    'ffmpeg',
    '-v',
    'error',
    '-y',
    '-i',
    file,
    ...[...PICTURES, '-f', 'rawvideo', '/dev/null'],
    ...(hasSound ? SOUND : []),
  ]);
  return code === 0 ? err : `exit ${code}: ${err}`;
}
