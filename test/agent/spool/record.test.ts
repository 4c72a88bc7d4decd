// The format of a record, byte by byte.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { keyFrom } from '../../../agent/spool/keys.ts';
import {
  decodeHeader,
  encodeHeader,
  fileBytesOf,
  HEADER_BYTES,
  type NewRecord,
  openHead,
  openMedia,
  type RecordHeader,
  sealed,
} from '../../../agent/spool/record.ts';
import { encodeEvent } from '../../../proto/event.ts';
import { encodeGap } from '../../../proto/gap.ts';
import { SCOPES } from '../../../proto/scopes.ts';
import { encodeSegmentHead } from '../../../proto/segment.ts';
import { encodeStream } from '../../../proto/stream.ts';
import { event, gap, header, stream } from './captured.ts';
import { bytesFrom, DEVICE, gapRecord, record } from './records.ts';

const key = keyFrom(bytesFrom('key', 32));
const nonces = { head: bytesFrom('nonce of the head', 12), media: bytesFrom('nonce', 12) };

function fileOf(one: NewRecord, device = DEVICE): Buffer {
  return Buffer.concat([...sealed(one, device, key)]);
}

function mediaOf(file: Buffer, device = DEVICE, by = key): Buffer {
  const opening = openMedia(file, device, by);
  for (;;) {
    const step = opening.next();
    if (step.done) return step.value;
  }
}

const corrupt = { code: 'STORE_CORRUPT' };

t.test('the format of version 1 is the one of the golden file', async (t) => {
  const chunks = [bytesFrom('chunk 1', 40), bytesFrom('chunk 2', 24)];
  const records: NewRecord[] = [
    { number: 1, kind: 'stream', scopes: ['video'], head: encodeStream(stream('a')), media: [] },
    {
      number: 2,
      kind: 'segment',
      scopes: ['video', 'audio'],
      head: encodeSegmentHead(header('a', 7, { scopes: ['video', 'audio'] }), chunks),
      media: chunks,
    },
    { number: 2 ** 40, kind: 'gap', scopes: ['video'], head: encodeGap(gap('g', 3)), media: [] },
    { number: 3, kind: 'event', scopes: ['video'], head: encodeEvent(event('e', 4)), media: [] },
  ];
  const golden = readFileSync(new URL('./spool-v1.hex', import.meta.url), 'utf8')
    .trim()
    .split('\n');
  t.equal(golden.length, records.length);
  for (const [at, one] of records.entries()) {
    const file = Buffer.from(golden[at] ?? '', 'hex');
    const made = Buffer.concat([...sealed(one, DEVICE, key, nonces)]);
    t.equal(made.toString('hex'), golden[at], `${one.kind} is written as ever`);
    t.match(decodeHeader(file), { number: one.number, kind: one.kind, scopes: one.scopes });
    t.ok(openHead(file, DEVICE, key).equals(one.head), 'and its head is read');
    t.ok(mediaOf(file).equals(Buffer.concat(one.media)), 'and its media');
  }
});

t.test('a header of any content is read as it was written', async (t) => {
  const headers: RecordHeader[] = [
    { number: 0, kind: 'gap', scopes: [], keyId: 0, headBytes: 0, mediaBytes: 0 },
    {
      number: Number.MAX_SAFE_INTEGER,
      kind: 'stream',
      scopes: SCOPES,
      keyId: 2 ** 32 - 1,
      headBytes: 2 ** 20,
      mediaBytes: 2 ** 32 - 1,
    },
  ];
  for (const one of headers) {
    t.equal(encodeHeader(one).byteLength, HEADER_BYTES);
    t.same(decodeHeader(encodeHeader(one)), one);
  }
});

t.test('a header that nobody writes is damaged, checksum or not', async (t) => {
  const good = encodeHeader({ ...record(1), keyId: 1, headBytes: 9, mediaBytes: 0 });
  t.throws(() => decodeHeader(good.subarray(0, HEADER_BYTES - 1)), corrupt);
  const large = encodeHeader({ ...record(1), keyId: 1, headBytes: 2 ** 21, mediaBytes: 0 });
  t.throws(() => decodeHeader(large), corrupt);
  for (let at = 0; at < HEADER_BYTES; at += 1) {
    const bad = Buffer.from(good);
    bad.writeUInt8(bad.readUInt8(at) ^ 0x80, at);
    t.throws(() => decodeHeader(bad), corrupt, `byte ${at}`);
  }
});

t.test('media of any size and number of pieces come back as one', async (t) => {
  for (const lengths of [[], [0], [1], [16, 0, 17], [600_000, 3], [262_144], [262_145]]) {
    const media = lengths.map((length, at) => bytesFrom(`${at}`, length));
    const one = record(4, { media });
    const file = fileOf(one);
    const total = lengths.reduce((sum, length) => sum + length, 0);
    t.equal(file.byteLength, fileBytesOf(one.head.byteLength, total));
    t.ok(mediaOf(file).equals(Buffer.concat(media)), `${total} bytes`);
  }
});

t.test('nothing readable stands in the file, and no two are alike', async (t) => {
  const one = record(5, { head: Buffer.alloc(64, 'a'), media: [Buffer.alloc(64, 'b')] });
  const [first, second] = [fileOf(one), fileOf(one)];
  t.notOk(first.includes('aaaa') || first.includes('bbbb'));
  t.notOk(first.subarray(HEADER_BYTES).equals(second.subarray(HEADER_BYTES)));
});

t.test('what is of another device, key, record or part is damaged', async (t) => {
  const file = fileOf(record(6));
  const other = fileOf(record(7));
  const stranger = keyFrom(bytesFrom('another key', 32));
  t.throws(() => openHead(file, 'cam-aaaaaaaaaaaaaaaa', key), corrupt);
  t.throws(() => mediaOf(file, 'cam-aaaaaaaaaaaaaaaa'), corrupt);
  t.throws(() => openHead(file, DEVICE, stranger), corrupt);
  t.throws(() => mediaOf(file, DEVICE, stranger), corrupt);
  const end = fileBytesOf(90, 0);
  const mixed = Buffer.concat([file.subarray(0, end), other.subarray(end)]);
  t.ok(openHead(mixed, DEVICE, key), 'the head is its own');
  t.throws(() => mediaOf(mixed), corrupt, 'the media are not');
  const moved = Buffer.concat([file.subarray(0, HEADER_BYTES), other.subarray(HEADER_BYTES)]);
  t.throws(() => openHead(moved, DEVICE, key), corrupt);
});

t.test('head and media cannot change places', async (t) => {
  const same = bytesFrom('same', 90);
  const file = fileOf(record(8, { head: same, media: [same] }));
  const middle = fileBytesOf(90, 0);
  const swapped = Buffer.concat([
    file.subarray(0, HEADER_BYTES),
    file.subarray(middle),
    file.subarray(HEADER_BYTES, middle),
  ]);
  t.throws(() => openHead(swapped, DEVICE, key), corrupt);
  t.throws(() => mediaOf(swapped), corrupt);
});

t.test('a gap has no part for media', async (t) => {
  const file = fileOf(gapRecord(9));
  t.equal(file.byteLength, HEADER_BYTES + 28 + 90);
  t.equal(mediaOf(file).byteLength, 0);
});
