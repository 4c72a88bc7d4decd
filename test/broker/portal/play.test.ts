// Playing: playlists that real players play, and addresses that open nothing but what they name.
import t from 'tap';
import { type House, openHouse } from './house.ts';
import { cutMotion, cutSmall, decode, probe, run, storeCut, storeGap } from './media.ts';

interface Play {
  readonly url: string;
  readonly expiresAt: string;
  readonly live: boolean;
}

const iso = (us: number): string => new Date(Math.floor(us / 1000)).toISOString();

async function recorded(t: Parameters<typeof openHouse>[0]) {
  const house = await openHouse(t);
  const { store, anna } = house;
  const cut = await cutMotion(house.folder);
  const startAtUs = house.nowUs() - 120e6;
  const options = { store, device: anna.device, epoch: anna.epoch, startAtUs };
  const { streamId, endUs } = await storeCut(cut, options);
  const token = await house.login(anna);
  const play = (body: object): Promise<Play> =>
    house.json('POST', `/api/devices/${anna.device.device_id}/play`, token, body);
  return { house, cut, options, startAtUs, streamId, endUs, token, play };
}

const text = async (house: House, url: string): Promise<string> => {
  const response = await house.ask('GET', url);
  if (!response.ok) throw new Error(`${response.status}`);
  return response.text();
};

t.test('a stretch of time plays in ffmpeg and GStreamer, every picture of it', async (t) => {
  const { house, startAtUs, endUs, play } = await recorded(t);
  const { url, live } = await play({ from: iso(startAtUs), to: iso(endUs + 1e6) });
  t.notOk(live);
  const list = await text(house, url);
  t.match(list, /#EXT-X-PLAYLIST-TYPE:VOD/);
  t.match(list, /#EXT-X-ENDLIST\n$/);
  t.equal(list.match(/#EXTINF/g)?.length, 9);
  t.equal(list.match(/#EXT-X-MAP/g)?.length, 1);
  t.notMatch(list, /DISCONTINUITY/);
  t.match(list, `#EXT-X-PROGRAM-DATE-TIME:${iso(startAtUs).slice(0, 19)}`);
  t.equal(await decode(url), 243);
  const line = `souphttpsrc location=${url} ! hlsdemux ! decodebin ! fakesink silent=false sync=false`;
  const { stdout } = await run('gst-launch-1.0', ['-v', ...line.split(' ')], {
    maxBuffer: 1 << 26,
  });
  t.equal(stdout.match(/last-message = chain/g)?.length, 243);
});

t.test('streams and holes are discontinuities, and gaps are told', async (t) => {
  const { house, cut, options, startAtUs, endUs, play } = await recorded(t);
  await storeGap(options, { startAtUs: endUs, durationUs: 2e6, reason: 'source_stalled' });
  const next = await storeCut(cut, { ...options, startAtUs: endUs + 2e6, lost: [3, 4] });
  const { url } = await play({ from: iso(startAtUs), to: iso(next.endUs + 1e6) });
  const list = await text(house, url);
  t.equal(list.match(/#EXT-X-MAP/g)?.length, 2);
  t.equal(list.match(/#EXT-X-DISCONTINUITY\n/g)?.length, 2);
  t.equal(list.match(/#EXT-X-PROGRAM-DATE-TIME/g)?.length, 3);
  t.match(list, /## no pictures from .* to .*: source_stalled\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP/);
  t.match(list, /\/2.m4s\n## no pictures .*lost or deleted\n#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM/);
  t.equal((await probe(url)).videoFrames, 243 + 243 - 60, 'every picture that is there');
  t.ok(await decode(url), 'without a complaint');
});

t.test(
  'what a full spool gave up in the midst of a stream is told where it is missing',
  async (t) => {
    const { house, cut, options, play } = await recorded(t);
    const startAtUs = options.startAtUs - 3600e6;
    const { endUs } = await storeCut(cut, { ...options, startAtUs, lost: [2, 3, 6] });
    for (const [atS, forS, reason] of [
      [2, 2, 'spool_full'],
      [6, 1, 'spool_damaged'],
    ] as const)
      await storeGap(options, { startAtUs: startAtUs + atS * 1e6, durationUs: forS * 1e6, reason });
    const { url } = await play({ from: iso(startAtUs), to: iso(endUs) });
    const list = await text(house, url);
    t.match(
      list,
      /\/1.m4s\n## no pictures from .*: spool_full\n#EXT-X-DISCONTINUITY\n#EXT-X-PROG.*\n#EXTINF.*\n.*\/4.m4s/,
    );
    t.match(list, /\/5.m4s\n## no pictures from .*: spool_damaged\n#EXT-X-DISCONTINUITY\n/);
    t.equal(list.match(/DISCONTINUITY\n/g)?.length, 2);
    t.ok(await decode(url), 'without a complaint');
  },
);

t.test('two boots with the same wall time play one after the other, whole', async (t) => {
  const { house, cut, options, startAtUs, streamId, endUs, play } = await recorded(t);
  const other = await storeCut(cut, { ...options, startAtUs: startAtUs + 500_000 });
  const { url } = await play({ from: iso(startAtUs), to: iso(endUs + 5e6) });
  const list = await text(house, url);
  const pieces = [...list.matchAll(/^(\w{32})\/(\d+)\.m4s$/gm)].map(([, id]) => id);
  t.same(pieces, [...Array(9).fill(streamId), ...Array(9).fill(other.streamId)]);
  t.equal(list.match(/DISCONTINUITY\n/g)?.length, 1);
});

t.test('an open-ended address goes on as pieces come in', async (t) => {
  const { house, options, endUs, play } = await recorded(t);
  const { url, live } = await play({});
  t.ok(live);
  const before = await text(house, url);
  t.match(before, /#EXT-X-PLAYLIST-TYPE:EVENT/);
  t.notMatch(before, /ENDLIST/);
  await storeCut(await cutSmall(house.folder), { ...options, startAtUs: endUs });
  const after = await text(house, url);
  t.ok(after.startsWith(before), 'nothing listed before is changed');
  t.equal(after.match(/#EXTINF/g)?.length, 18);
  const later = await play({ to: iso(house.nowUs() + 3600e6) });
  t.ok(later.live, 'a time to come is open-ended until then');
});

t.test('what comes late does not change a list that plays, and is in the next', async (t) => {
  const { house, cut, options, startAtUs, endUs, play } = await recorded(t);
  const { url } = await play({ from: iso(startAtUs - 60e6) });
  house.advance(10e6);
  const receivedAtUs = house.nowUs();
  await storeCut(cut, { ...options, startAtUs: endUs, receivedAtUs });
  const before = await text(house, url);
  t.equal(before.match(/#EXTINF/g)?.length, 18);
  const late = { ...options, startAtUs: startAtUs - 60e6, receivedAtUs: receivedAtUs + 5e6 };
  const { streamId } = await storeCut(cut, late);
  t.equal(await text(house, url), before);
  await storeCut(cut, { ...options, startAtUs: endUs + 9e6, receivedAtUs: receivedAtUs + 6e6 });
  t.ok((await text(house, url)).startsWith(before), 'it goes on at its end');
  house.advance(10e6);
  const next = await text(house, (await play({ from: iso(startAtUs - 60e6) })).url);
  t.equal(next.match(/#EXTINF/g)?.length, 36);
  t.match(next, `${streamId}/0.m4s`);
});

t.test('an address with nothing behind it yet is an empty list', async (t) => {
  const house = await openHouse(t);
  const token = await house.login(house.bert);
  const url = `/api/devices/${house.bert.device.device_id}/play`;
  const { url: address } = await house.json<Play>('POST', url, token, {});
  t.match(await text(house, address), /^#EXTM3U\n/);
});

t.test('an address opens its span of its camera, until its time is over', async (t) => {
  const { house, startAtUs, streamId, play } = await recorded(t);
  const { url } = await play({ from: iso(startAtUs + 3e6), to: iso(startAtUs + 5e6), ttlS: 30 });
  const base = url.replace('/index.m3u8', '');
  const status = async (path: string): Promise<number> => (await house.ask('GET', path)).status;
  const piece = (sequence: number): string => `${base}/${streamId}/${sequence}.m4s`;
  t.equal(await status(piece(3)), 200);
  t.equal(await status(piece(4)), 200);
  t.equal(await status(piece(1)), 404, 'before the span');
  t.equal(await status(piece(6)), 404, 'after the span');
  t.equal(await status(piece(99)), 404);
  t.equal(await status(`${base}/${streamId}/init.mp4`), 200);
  t.equal(await status(`${base}/${'0'.repeat(32)}/init.mp4`), 404);
  t.equal(await status(`${base}/..%2f..%2f/init.mp4`), 400);
  const response = await house.ask('GET', piece(3));
  t.equal(response.headers.get('access-control-allow-origin'), '*');
  t.match(response.headers.get('cache-control'), /private, no-store/);
  t.equal(response.headers.get('x-content-type-options'), 'nosniff');
  house.advance(31e6);
  t.equal(await status(url), 404, 'over');
  t.equal(await status(piece(3)), 404, 'over for pieces as well');
});

t.test("an address cannot be changed, and does not open another owner's pictures", async (t) => {
  const { house, startAtUs, endUs, play } = await recorded(t);
  const { store, bert } = house;
  const device = { store, device: bert.device, epoch: bert.epoch };
  const bertStream = await storeCut(await cutMotion(house.folder), { ...device, startAtUs });
  const { url } = await play({ from: iso(startAtUs), to: iso(endUs) });
  const base = url.replace('/index.m3u8', '');
  const foreign = `${base}/${bertStream.streamId}`;
  t.equal((await house.ask('GET', `${foreign}/0.m4s`)).status, 404);
  t.equal((await house.ask('GET', `${foreign}/init.mp4`)).status, 404);
  const token = base.split('/play/')[1] ?? '';
  const [body = '', mac = ''] = token.split('.');
  const claim: unknown[] = JSON.parse(Buffer.from(body, 'base64url').toString());
  const forged = Buffer.from(JSON.stringify([bert.device.device_id, ...claim.slice(1)]));
  const tampered = [
    `${forged.toString('base64url')}.${mac}`,
    `${body}.${mac.slice(0, -2)}AA`,
    `${body}.`,
    `${body}.${mac}.x`,
    `${body}=.${mac}`,
    body,
    `.${mac}`,
  ];
  for (const wrong of tampered) {
    const response = await house.ask('GET', `/play/${wrong}/index.m3u8`);
    t.equal(response.status, 404, wrong.slice(-20));
    t.match(await response.json(), { code: 'NOT_FOUND' });
  }
});

t.test('logging out ends the addresses that the login made', async (t) => {
  const { house, token, play } = await recorded(t);
  const { url } = await play({});
  t.equal((await house.ask('GET', url)).status, 200);
  await house.ask('POST', '/api/logout', token);
  t.equal((await house.ask('GET', url)).status, 404);
});
