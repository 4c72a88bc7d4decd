// What is damaged or deleted never gets out; what is left is listed, played and exported.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { cutMotion, decode, storeCut, storeGap } from './media.ts';
import { iso, ready } from './recorded.ts';

t.test('a damaged piece ends an export; its bytes never get out', async (t) => {
  const { house, options, startAtUs, url, token } = await ready(t);
  const { endUs, streamId } = await storeCut(await cutMotion(house.folder), {
    ...options,
    startAtUs,
  });
  const row = await house.store.media.segment(house.anna.device.device_id, streamId, 4);
  const shard = row?.blob_id.split('-')[0] ?? '';
  const path = join(house.folder, 'data', 'blobs', shard, row?.blob_id ?? '');
  const sealed = await readFile(path);
  sealed[sealed.length >> 1] = (sealed[sealed.length >> 1] ?? 0) ^ 1;
  await writeFile(path, sealed);
  const broken = await house.ask('GET', url('export', startAtUs, endUs), token);
  await t.rejects(broken.arrayBuffer(), 'the answer breaks off');
  const head = await house.ask('GET', url('export', startAtUs + 4.2e6, endUs), token);
  t.equal(head.status, 500, 'before anything is sent it is an answer');
  t.strictSame(await head.json(), {
    code: 'STORE_CORRUPT',
    message: 'stored data are damaged',
    retry: false,
  });
  const body = { from: iso(startAtUs), to: iso(endUs) };
  const device = `/api/devices/${house.anna.device.device_id}`;
  const { url: list } = await house.json<{ url: string }>('POST', `${device}/play`, token, body);
  const piece = (n: number): string => list.replace('index.m3u8', `${streamId}/${n}.m4s`);
  t.equal((await house.ask('GET', piece(4))).status, 500);
  t.equal((await house.ask('GET', piece(3))).status, 200, 'the others play on');
});

t.test('deleted pieces are gone at once: from lists, addresses, exports and disk', async (t) => {
  const { house, options, startAtUs, token, url, fetchFile, manifest } = await ready(t);
  const { endUs, streamId } = await storeCut(await cutMotion(house.folder), {
    ...options,
    startAtUs,
  });
  const device = `/api/devices/${house.anna.device.device_id}`;
  const span = { from: iso(startAtUs), to: iso(endUs) };
  const { url: list } = await house.json<{ url: string }>('POST', `${device}/play`, token, span);
  const piece = (n: number): string => list.replace('index.m3u8', `${streamId}/${n}.m4s`);
  t.equal((await house.ask('GET', piece(3))).status, 200);
  const one = `${device}/segments/${streamId}/3`;
  t.strictSame(await house.json('DELETE', one, token), { deleted: 1 });
  t.equal((await house.ask('DELETE', one, token)).status, 404, 'twice');
  t.equal((await house.ask('GET', piece(3))).status, 404);
  t.notMatch(await (await house.ask('GET', list)).text(), '/3.m4s');
  t.equal(await decode(await fetchFile(startAtUs, endUs)), 243 - 30);
  t.equal(await decode(list), 243 - 30, 'the rest plays on');
  t.match((await manifest(startAtUs, endUs)).breaks, [{ kind: 'pieces_missing' }]);
  const range = `${device}/segments?from=${iso(startAtUs + 5.9e6)}&to=${iso(endUs)}`;
  t.strictSame(await house.json('DELETE', range, token), { deleted: 3 });
  t.equal(await decode(await fetchFile(startAtUs, endUs)), 150);
  const files = await readdir(join(house.folder, 'data', 'blobs'), { recursive: true });
  t.equal(files.filter((name) => name.includes('/')).length, 5, 'five files are left');
  await house.json('DELETE', `${device}/segments?from=${span.from}&to=${span.to}`, token);
  t.equal((await house.ask('GET', url('export', startAtUs, endUs), token)).status, 404);
});

t.test('pieces and gaps are listed page by page, each once', async (t) => {
  const { house, options, startAtUs, token } = await ready(t);
  const { endUs } = await storeCut(await cutMotion(house.folder), { ...options, startAtUs });
  await storeGap(options, { startAtUs: endUs, durationUs: 1e6, reason: 'source_lost' });
  await storeGap(options, { startAtUs: startAtUs + 1.2e6, durationUs: 2e6, reason: 'refused' });
  const found: number[] = [];
  const gaps: string[] = [];
  for (let cursor: string | null = '', pages = 0; cursor !== null && pages < 9; pages += 1) {
    const query: string = cursor === '' ? 'limit=2' : `limit=2&cursor=${cursor}`;
    const page: {
      segments: { sequence: number }[];
      gaps: { reason: string }[];
      next: string | null;
    } = await house.json(
      'GET',
      `/api/devices/${house.anna.device.device_id}/segments?${query}`,
      token,
    );
    found.push(...page.segments.map(({ sequence }) => sequence));
    gaps.push(...page.gaps.map(({ reason }) => reason));
    cursor = page.next;
  }
  t.strictSame(found, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  t.strictSame(gaps, ['refused', 'source_lost']);
});
