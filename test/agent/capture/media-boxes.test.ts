// What moov and moof say, in golden bytes and in what ffmpeg writes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { BoxSplitter } from '../../../agent/capture/box-splitter.ts';
import { type Fragment, mendDurations, parseFragment } from '../../../agent/capture/fragment.ts';
import { parseMovie } from '../../../agent/capture/movie.ts';
import { ffmpeg, MOTION, packets } from './harness.ts';

function box(type: string, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? hex(part) : part)));
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8, 0);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

function moof(tfhd: string, tfdt: string, ...truns: readonly string[]): Buffer {
  const traf = [box('tfhd', tfhd), box('tfdt', tfdt), ...truns.map((trun) => box('trun', trun))];
  return box('moof', box('mfhd', '00000000 00000001'), box('traf', ...traf));
}

const golden: Record<string, { bytes: Buffer; fragment: Fragment }> = {
  'durations, sizes and flags of each sample': {
    bytes: moof(
      '00020000 00000001',
      '01000000 0000000100000000',
      '00000701 00000002 00000100 00000bb8 00000010 02000000 00000bb9 00000020 01010000',
    ),
    fragment: {
      trackId: 1,
      start: 2 ** 32,
      durations: [3000, 3001],
      duration: 6001,
      sampleCount: 2,
      isSync: true,
    },
  },
  'defaults of the track, first sample flagged': {
    bytes: moof(
      '00020038 00000002 00000400 00000080 01010000',
      '00000000 00000064',
      '00000005 00000003 00000100 02000000',
    ),
    fragment: {
      trackId: 2,
      start: 100,
      durations: [1024, 1024, 1024],
      duration: 3072,
      sampleCount: 3,
      isSync: true,
    },
  },
  'defaults of the track, no keyframe': {
    bytes: moof(
      '00020038 00000002 00000400 00000080 01010000',
      '00000000 00000064',
      '00000001 00000003 00000100',
    ),
    fragment: {
      trackId: 2,
      start: 100,
      durations: [1024, 1024, 1024],
      duration: 3072,
      sampleCount: 3,
      isSync: false,
    },
  },
  'all optional fields of tfhd, two runs': {
    bytes: moof(
      '0002003b 00000001 0000000000000001 00000001 00000010 00000080 02000000',
      '00000000 00000000',
      '00000800 00000001 00000000',
      '00000100 00000002 00000005 00000006',
    ),
    fragment: {
      trackId: 1,
      start: 0,
      durations: [16, 5, 6],
      duration: 27,
      sampleCount: 3,
      isSync: true,
    },
  },
};
for (const [name, { bytes, fragment }] of Object.entries(golden))
  t.test(`a moof with ${name}`, async (t) => {
    t.strictSame(parseFragment(bytes), fragment);
  });

t.test('a damaged moof is refused, cut or changed anywhere, and never read beyond', async (t) => {
  const whole = golden['durations, sizes and flags of each sample']?.bytes ?? Buffer.alloc(0);
  for (let length = 8; length < whole.length; length += 1)
    t.throws(() => parseFragment(whole.subarray(0, length)), { code: 'CAPTURE_FAILED' });
  for (let at = 0; at < whole.length * 8; at += 1) {
    const copy = Buffer.from(whole);
    copy.writeUInt8(copy.readUInt8(at >> 3) ^ (1 << (at & 7)), at >> 3);
    try {
      parseFragment(copy);
    } catch (error) {
      t.match(error, { code: 'CAPTURE_FAILED' });
    }
  }
});

t.test('a sample of no length gets half of its neighbour', async (t) => {
  const tfhd = '00020000 00000001';
  const head = '00000301 00000003 00000100';
  const run = (...durations: readonly string[]): Buffer =>
    moof(
      tfhd,
      '00000000 00000000',
      `${head} ${durations.map((one) => `${one} 00000001`).join(' ')}`,
    );
  const mended = (bytes: Buffer): Buffer => {
    mendDurations(bytes);
    return bytes;
  };
  t.strictSame(
    mended(run('00000bb8', '00000bb8', '00000000')),
    run('00000bb8', '000005dc', '000005dc'),
  );
  t.strictSame(
    mended(run('00000000', '00000bb9', '00000bb8')),
    run('000005dc', '000005dd', '00000bb8'),
  );
  t.strictSame(
    mended(run('00000001', '00000002', '00000003')),
    run('00000001', '00000002', '00000003'),
  );
});

const codecs: Record<string, { args: readonly string[]; codecs: readonly string[] }> = {
  'H.264 and AAC': { args: ['-c', 'copy'], codecs: ['avc1.4d001e', 'mp4a.40.2'] },
  'H.264 high and Opus': {
    args: ['-c:v', 'libx264', '-profile:v', 'high', '-level', '3.1', '-c:a', 'libopus'],
    codecs: ['avc1.64001f', 'opus'],
  },
  'H.264 without sound': { args: ['-an', '-c:v', 'copy'], codecs: ['avc1.4d001e'] },
};
for (const [name, { args, codecs: expected }] of Object.entries(codecs))
  t.test(`tracks and fragments of ${name} as ffmpeg writes them`, async (t) => {
    const path = join(t.testdir(), 'fragmented.mp4');
    const flags = 'frag_keyframe+empty_moov+default_base_moof+separate_moof';
    await ffmpeg('-i', MOTION, '-t', '3', ...args, '-movflags', flags, path);
    const fragments: Fragment[] = [];
    let tracks: ReturnType<typeof parseMovie> = [];
    new BoxSplitter(1 << 20, (type, whole) => {
      if (type === 'moov') tracks = parseMovie(whole);
      if (type === 'moof') fragments.push(parseFragment(whole));
    }).push(readFileSync(path));
    t.strictSame(
      tracks.map(({ codec }) => codec),
      expected,
    );
    t.match(tracks[0], { kind: 'video', width: 568, height: 320 });
    if (expected.length > 1) t.match(tracks[1], { kind: 'audio', sampleRate: /^(44100|48000)$/ });
    for (const { trackId, kind, timescale } of tracks) {
      const mine = fragments.filter((fragment) => fragment.trackId === trackId);
      const samples = mine.reduce((sum, { sampleCount }) => sum + sampleCount, 0);
      t.equal(samples, (await packets(path, kind.slice(0, 1), 'pts')).length);
      const seconds = mine.reduce((sum, { duration }) => sum + duration, 0) / timescale;
      t.ok(Math.abs(seconds - 3) < 0.1, `${seconds} s`);
      t.ok(mine.every(({ isSync }) => isSync));
    }
  });
