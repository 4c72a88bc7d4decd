// What tests of recordings share: a house with somebody logged in, and ways to fetch what is stored.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Manifest } from '../../../broker/cli/recording-answers.ts';
import { parseBoxes } from '../../../broker/portal/mp4/boxes.ts';
import { measureSegment } from '../../../broker/portal/mp4/fragment.ts';
import { parseInit } from '../../../broker/portal/mp4/init.ts';
import { openHouse } from './house.ts';

export const iso = (us: number): string => `${new Date(Math.floor(us / 1000)).toISOString()}`;

export async function ready(t: Parameters<typeof openHouse>[0]) {
  const house = await openHouse(t);
  const { store, anna } = house;
  const startAtUs = Math.floor(house.nowUs() / 1e6) * 1e6 - 120e6;
  const options = { store, device: anna.device, epoch: anna.epoch };
  const token = await house.login(anna);
  const url = (kind: string, fromUs: number, toUs: number): string =>
    `/api/devices/${anna.device.device_id}/${kind}?from=${iso(fromUs)}&to=${iso(toUs)}`;
  const fetchFile = async (fromUs: number, toUs: number): Promise<string> => {
    const response = await house.ask('GET', url('export', fromUs, toUs), token);
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    const path = join(house.folder, `${Math.random()}.mp4`);
    await writeFile(path, Buffer.from(await response.arrayBuffer()));
    return path;
  };
  const manifest = (fromUs: number, toUs: number): Promise<Manifest> =>
    house.json('GET', url('export/manifest', fromUs, toUs), token);
  return { house, options, startAtUs, token, url, fetchFile, manifest };
}

/** Decode times never go back, and fragments are numbered on. */
export async function checkTimes(t: Test, path: string): Promise<void> {
  const bytes = await readFile(path);
  const boxes = parseBoxes(bytes);
  const tracks = new Map(parseInit(bytes).map((track) => [track.trackId, track]));
  const ends = new Map<number, number>();
  let fragments = 0;
  for (const [position, moof] of boxes.entries()) {
    if (moof.type !== 'moof') continue;
    fragments += 1;
    t.equal(moof.body.readUInt32BE(12), fragments);
    const mdat = boxes[position + 1];
    if (!mdat) return void t.fail('no media data');
    const fragment = bytes.subarray(moof.start, mdat.start + mdat.bytes.length);
    for (const [trackId, { first, end }] of measureSegment(fragment, tracks)) {
      t.ok(first >= (ends.get(trackId) ?? 0) - 2, `track ${trackId} goes on at ${first}`);
      ends.set(trackId, end);
    }
  }
  t.ok(fragments > 0);
}
