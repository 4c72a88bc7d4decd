// Boxes come out whole, whatever the sizes of the pieces they come in.
import t from 'tap';
import { BoxSplitter } from '../../../agent/capture/box-splitter.ts';

function box(type: string, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes, type);
  buffer.writeUInt32BE(bytes, 0);
  buffer.write(type, 4, 'latin1');
  return buffer;
}

/** Numbers from 0 up to 1 that a seed determines (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

t.test('boxes come out whole and in order, cut anywhere', async (t) => {
  const seed = Date.now() % 2 ** 31;
  t.comment(`seed ${seed}`);
  const random = seeded(seed);
  for (let round = 0; round < 200; round += 1) {
    const boxes = Array.from({ length: 1 + Math.floor(random() * 8) }, (_, index) =>
      box(`b${String(index).padStart(3, '0')}`, 8 + Math.floor(random() ** 3 * 3000)),
    );
    const bytes = Buffer.concat(boxes);
    const out: Buffer[] = [];
    const splitter = new BoxSplitter(4096, (type, whole) => {
      t.equal(type, whole.toString('latin1', 4, 8));
      out.push(whole);
    });
    for (let at = 0; at < bytes.length; ) {
      const next = at + 1 + Math.floor(random() ** 2 * 700);
      splitter.push(bytes.subarray(at, next));
      at = next;
    }
    if (!t.ok(Buffer.concat(out).equals(bytes) && out.length === boxes.length)) break;
  }
});

t.test('impossible sizes are refused', async (t) => {
  for (const size of [0, 1, 7, 4097, 0xffffffff]) {
    const splitter = new BoxSplitter(4096, () => t.fail('no box'));
    const header = box('mdat', 8);
    header.writeUInt32BE(size, 0);
    t.throws(() => splitter.push(header), { code: 'CAPTURE_FAILED' }, `${size} bytes`);
  }
});
