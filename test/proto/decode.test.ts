// Bad input to the decoders: refused with DECODE_INVALID, never a crash, never guessed.
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { decodeAnchor } from '../../proto/anchor.ts';
import { decodeClaimAnswer, decodeClaimRequest } from '../../proto/claim.ts';
import { LenscapError } from '../../proto/errors.ts';
import { decodeGap } from '../../proto/gap.ts';
import { decodeHealth } from '../../proto/health.ts';
import { decodeInfo } from '../../proto/info.ts';
import { decodeReleased } from '../../proto/release.ts';
import { decodeRenewal, decodeRenewed } from '../../proto/renewal.ts';
import { decodeSegment, encodeSegment, MAX_SEGMENT_HEADER_BYTES } from '../../proto/segment.ts';
import { decodeStream } from '../../proto/stream.ts';
import { decodeApplied, decodeVerdict, targetOf } from '../../proto/verdict.ts';
import { seeded } from '../seeded.ts';

const decoders = {
  decodeStream,
  decodeSegment,
  decodeGap,
  decodeVerdict,
  decodeApplied,
  decodeClaimRequest,
  decodeClaimAnswer,
  decodeRenewal,
  decodeRenewed,
  decodeReleased,
  decodeInfo,
  decodeAnchor,
  decodeHealth,
};
const header = {
  streamId: '0'.repeat(32),
  sequence: 4,
  startAtUs: 1,
  startMonoUs: 1,
  durationUs: 1,
  decodeStartUs: 0,
  epoch: 1,
  scopes: ['video'],
  sha256: new Uint8Array(32),
} as const;

t.test(
  'random bytes, cut and flipped messages end in DECODE_INVALID or a valid message',
  async (t) => {
    const random = seeded(t);
    const good = encodeSegment(header, [randomBytes(200)]);
    let refused = 0;
    for (let round = 0; round < 20_000; round++) {
      const bytes = round % 2 === 0 ? randomBytes(Math.floor(random() * 300)) : Buffer.from(good);
      if (round % 2 === 1) bytes.writeUInt8(Math.floor(random() * 256), Math.floor(random() * 120));
      for (const decode of Object.values(decoders))
        try {
          decode(bytes.subarray(0, Math.ceil(random() * bytes.length)));
        } catch (error) {
          if (!(error instanceof LenscapError) || error.code !== 'DECODE_INVALID') throw error;
          refused++;
        }
    }
    t.ok(refused > 50_000, `${refused} refused`);
  },
);

t.test('a segment is refused with what is wrong with it', async (t) => {
  const bad = [
    [{ streamId: '../../etc/passwd' }, /stream_id/],
    [{ streamId: 'A'.repeat(32) }, /stream_id/],
    [{ sequence: -1 }, /sequence/],
    [{ sequence: 2 ** 60 }, /sequence/],
    [{ durationUs: 0 }, /duration_us/],
    [{ epoch: 0 }, /epoch/],
    [{ sha256: new Uint8Array(31) }, /sha256/],
    [{ scopes: ['video', 'video'] }, /scopes/],
  ] as const;
  for (const [change, message] of bad)
    t.throws(
      () => decodeSegment(encodeSegment({ ...header, ...change }, [Buffer.alloc(4)])),
      { code: 'DECODE_INVALID', message },
      JSON.stringify(change),
    );
  t.throws(() => decodeSegment(encodeSegment(header, [])), { code: 'DECODE_INVALID' }, 'no chunk');
  t.throws(
    () => decodeSegment(encodeSegment(header, Array<Buffer>(3000).fill(Buffer.alloc(1)))),
    { code: 'DECODE_INVALID' },
    'too many chunks',
  );
});

t.test('a header that is longer than allowed is refused without reading it all', async (t) => {
  const unknownFields = Buffer.alloc(2_000_000, Buffer.from([0x98, 0x06, 0x01]));
  const payload = Buffer.concat([unknownFields, encodeSegment(header, [Buffer.alloc(4)])]);
  t.ok(payload.length > MAX_SEGMENT_HEADER_BYTES);
  t.throws(() => decodeSegment(payload), { code: 'DECODE_INVALID', message: /header/ });
});

t.test('bytes after the media are refused', async (t) => {
  const payload = Buffer.concat([encodeSegment(header, [Buffer.alloc(4)]), Buffer.from([8, 1])]);
  t.throws(() => decodeSegment(payload), { code: 'DECODE_INVALID' });
});

t.test('what a refused message names can still be read', async (t) => {
  const payload = encodeSegment({ ...header, durationUs: 0 }, [Buffer.alloc(4)]);
  t.same(targetOf('segment', payload), {
    kind: 'segment',
    streamId: header.streamId,
    sequence: 4,
  });
  t.equal(targetOf('segment', Buffer.from('nonsense')), undefined);
});
