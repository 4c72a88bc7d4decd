// `lenscap-agent spool list` and `spool check`: the real program on real files.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkSpool, listSpool } from '../../../agent/spool/commands.ts';
import type { NewRecord } from '../../../agent/spool/flash.ts';
import { encodeEvent } from '../../../proto/event.ts';
import { encodeGap } from '../../../proto/gap.ts';
import { encodeSegmentHead } from '../../../proto/segment.ts';
import { encodeStream } from '../../../proto/stream.ts';
import { AGENT, finished, node } from '../../e2e/processes.ts';
import { event, gap, header, hex, media, stream } from './captured.ts';
import { openAt } from './records.ts';

const video = { scopes: ['video'] } as const;
const RECORDS: readonly NewRecord[] = [
  { number: 1, kind: 'stream', ...video, head: encodeStream(stream('a')), media: [] },
  {
    number: 2,
    kind: 'segment',
    ...video,
    head: encodeSegmentHead(header('a', 7, { epoch: 3 }), media(9000)),
    media: media(9000),
  },
  { number: 3, kind: 'gap', ...video, head: encodeGap(gap('g', 60)), media: [] },
  { number: 4, kind: 'event', ...video, head: encodeEvent(event('e', 90)), media: [] },
];

async function board(t: Test) {
  const dir = t.testdir({
    'agent.json': JSON.stringify({
      identity: 'identity.json',
      stateDir: 'state',
      source: { type: 'test' },
    }),
    state: {},
  });
  const stateDir = join(dir, 'state');
  const { flash } = openAt(join(stateDir, 'spool'));
  for (const one of RECORDS) await flash.write(one);
  const path = (name: string) => join(stateDir, 'spool', name);
  const spool = (...args: readonly string[]) =>
    finished(node(AGENT, 'spool', ...args, '--config', join(dir, 'agent.json')));
  return { stateDir, flash, path, spool };
}

/** What a function says, line by line, with the code of its failure last. */
async function said(run: (say: (line: string) => void) => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  await run((line) => lines.push(line)).catch(({ code }) => lines.push(code));
  return lines;
}

function break2(path: (name: string) => string): void {
  const name = path('00000000000000000002.segment');
  const file = readFileSync(name);
  file.writeUInt8(file.readUInt8(5000) ^ 1, 5000);
  writeFileSync(name, file);
}

const LIST = [
  `1 stream ${hex('a')} 2027-01-15T08:00:00.000Z 0.000 s 4096 bytes epoch 1 video`,
  `2 segment ${hex('a')}/7 2027-01-15T08:00:07.000Z 1.000 s 12288 bytes epoch 3 video`,
  `3 gap ${hex('g')} 2027-01-15T08:01:00.000Z 1.000 s 4096 bytes epoch 1 video`,
  `4 event ${hex('e')} 2027-01-15T08:01:30.000Z 0.000 s 4096 bytes epoch 1 video`,
];

t.test('the records are listed and checked, and nothing is changed', async (t) => {
  const { spool, stateDir } = await board(t);
  const before = readdirSync(join(stateDir, 'spool'));
  t.match(await spool('list'), {
    code: 0,
    out: [...LIST, '4 records, 24576 bytes', ''].join('\n'),
  });
  t.match(await spool('check'), { code: 0, out: '4 whole, 0 damaged\n' });
  t.same(readdirSync(join(stateDir, 'spool')), before);
  t.same(readdirSync(stateDir), ['spool'], 'no lock, no other file');
});

t.test('a damaged record is named, and the status is 74', async (t) => {
  const { spool, path } = await board(t);
  break2(path);
  const checked = await spool('check', '--json');
  t.equal(checked.code, 74);
  t.match(checked.err, 'stored data are damaged');
  t.same(JSON.parse(checked.out), {
    whole: 3,
    damaged: [{ number: 2, kind: 'segment', why: 'the media is not what was sealed' }],
  });
  t.match(await spool('list'), { code: 0 }, 'its head is sound');
});

t.test('as JSON the list has the same, and neither media nor keys', async (t) => {
  const { stateDir } = await board(t);
  const [text = ''] = await said((say) => listSpool(stateDir, true, say));
  const list = JSON.parse(text);
  t.same(list.damaged, []);
  t.match(list, {
    records: [
      { number: 1, kind: 'stream', piece: hex('a'), durationUs: 0, bytes: 4096 },
      { number: 2, kind: 'segment', piece: `${hex('a')}/7`, epoch: 3, scopes: ['video'] },
      { number: 3, kind: 'gap', piece: hex('g'), startAtUs: 1_800_000_060_000_000 },
    ],
    bytes: 24576,
  });
  const { keys } = JSON.parse(readFileSync(join(stateDir, 'spool', 'key'), 'utf8'));
  t.notOk(text.includes(keys.video));
});

t.test('without a spool there is nothing, and nothing is made', async (t) => {
  const stateDir = t.testdir();
  t.same(await said((say) => listSpool(stateDir, false, say)), ['0 records, 0 bytes']);
  t.same(await said((say) => checkSpool(stateDir, false, say)), ['0 whole, 0 damaged']);
  t.same(readdirSync(stateDir), []);
});

t.test('what cannot be read is said: a damaged head, lost keys, another version', async (t) => {
  const { stateDir, path } = await board(t);
  writeFileSync(path('00000000000000000003.gap'), 'x');
  t.match(await said((say) => listSpool(stateDir, false, say)), [
    ...LIST.slice(0, 2),
    LIST[3],
    /^3 gap damaged: /,
    '3 records, 20480 bytes, 1 damaged',
  ]);
  writeFileSync(path('key'), 'x');
  t.match(await said((say) => checkSpool(stateDir, false, say)), [
    '1 stream damaged: its key is lost',
    '2 segment damaged: its key is lost',
    /^3 gap damaged: /,
    '4 event damaged: its key is lost',
    '0 whole, 4 damaged',
    'STORE_CORRUPT',
  ]);
  writeFileSync(path('key'), '{"version":7}');
  t.same(await said((say) => checkSpool(stateDir, false, say)), ['STORE_FAILED']);
});

t.test('what an agent removes or still has to remove is no fault', async (t) => {
  const { stateDir, path, flash } = await board(t);
  const file = readFileSync(path('00000000000000000002.segment'));
  flash.erase(RECORDS);
  writeFileSync(path('00000000000000000002.segment'), file);
  t.same(await said((say) => checkSpool(stateDir, false, say)), ['0 whole, 0 damaged']);
  mkdirSync(path('00000000000000000009.gap'));
  t.match(await said((say) => checkSpool(stateDir, false, say)), [/^9 gap damaged/, /^0/, /CORR/]);
});

t.test('a check while records come and go finds nothing damaged', async (t) => {
  const { stateDir, flash } = await board(t);
  let isOver = false;
  const coming = async () => {
    for (let number = 10; !isOver; number += 1) {
      const one = { ...(RECORDS[2] ?? { ...video, head: Buffer.of(), media: [] }), number };
      await flash.write({ ...one, kind: 'gap', scopes: number % 2 === 0 ? ['audio'] : ['video'] });
      flash.remove({ number: number - 2, kind: 'gap' });
    }
  };
  const checking = async () => {
    for (let turn = 0; turn < 50; turn += 1) {
      const [line] = await said((say) => checkSpool(stateDir, false, say));
      if (!/^\d+ whole, 0 damaged$/.test(line ?? '')) t.fail(`${line}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    isOver = true;
  };
  await Promise.all([coming(), checking()]);
  t.ok(isOver);
});
