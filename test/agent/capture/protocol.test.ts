// What a child may say, and what becomes of one that says anything else.
import t from 'tap';
import { MAX_TEXT, reportOf } from '../../../agent/capture/protocol.ts';
import { childPids } from './children.ts';
import { captureConfig, Recording } from './harness.ts';

const fault = { element: 'src', message: 'broken', debug: '' };
const long = 'x'.repeat(MAX_TEXT + 1);

t.test('reports are taken as they are, without what does not belong to them', async (t) => {
  for (const report of [
    { kind: 'ended' },
    { kind: 'unloopable' },
    { kind: 'pictures' },
    { kind: 'barcode', text: 'LENSCAP:0' },
    { kind: 'barcode', text: '' },
    { kind: 'set', id: 4 },
    { kind: 'sound', db: -12.5 },
    { kind: 'repeated', id: 4, count: 7 },
    { kind: 'fault', fault },
    { kind: 'refused', id: 3, fault },
    { kind: 'inspected', id: 3, caps: {} },
    { kind: 'inspected', id: 3, caps: { video: { name: 'video/x-h264', width: 3, live: true } } },
  ]) {
    t.strictSame(reportOf(report), report);
    t.strictSame(reportOf({ ...report, more: 1 }), report);
  }
});

t.test('anything else is no report', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`f${at}`, 1]));
  for (const message of [
    undefined,
    null,
    0,
    '',
    'ended',
    [],
    ['ended'],
    {},
    { kind: null },
    { kind: 'other' },
    { kind: 'barcode' },
    { kind: 'set' },
    { kind: 'set', id: '4' },
    { kind: 'sound' },
    { kind: 'repeated', id: 4 },
    { kind: 'repeated', id: 4, count: -1 },
    { kind: 'repeated', id: 4, count: 1.5 },
    { kind: 'repeated', count: 7 },
    { kind: 'sound', db: '-12' },
    { kind: 'sound', db: Number.NEGATIVE_INFINITY },
    { kind: 'barcode', text: null },
    { kind: 'barcode', text: ['LENSCAP:0'] },
    { kind: 'barcode', text: long },
    { kind: 'fault' },
    { kind: 'fault', fault: null },
    { kind: 'fault', fault: 'broken' },
    { kind: 'fault', fault: [] },
    { kind: 'fault', fault: { element: 'src', message: 'broken' } },
    { kind: 'fault', fault: { ...fault, element: 1 } },
    { kind: 'fault', fault: { ...fault, message: {} } },
    { kind: 'fault', fault: { ...fault, debug: null } },
    { kind: 'fault', fault: { ...fault, debug: long } },
    { kind: 'refused', fault },
    { kind: 'refused', id: '1', fault },
    { kind: 'refused', id: 0.5, fault },
    { kind: 'refused', id: 1 },
    { kind: 'inspected', id: 1 },
    { kind: 'inspected', id: 1, caps: null },
    { kind: 'inspected', id: 1, caps: [] },
    { kind: 'inspected', id: 1, caps: { video: null } },
    { kind: 'inspected', id: 1, caps: { video: 'video/x-h264' } },
    { kind: 'inspected', id: 1, caps: { video: { name: null } } },
    { kind: 'inspected', id: 1, caps: { video: { name: {} } } },
    { kind: 'inspected', id: 1, caps: { video: { name: long } } },
    { kind: 'inspected', id: 1, caps: { video: { [long]: 1 } } },
    { kind: 'inspected', id: 1, caps: { video: many } },
    { kind: 'inspected', id: Number.NaN, caps: {} },
  ])
    t.equal(reportOf(message), undefined, JSON.stringify(message)?.slice(0, 80));
});

t.test('a child that sends what is no report is killed, and the capture goes on', async (t) => {
  for (const message of [
    'null',
    '{"kind":"fault"}',
    '{"kind":"inspected","id":1,"caps":{"video":1}}',
  ]) {
    const preload = `data:text/javascript,process.send(${encodeURIComponent(message)})`;
    const childEnv = { NODE_OPTIONS: `--import=${preload}` };
    const recording = new Recording(captureConfig({ type: 'test' }), true, { childEnv });
    await recording.until('a third attempt', () => recording.log.includes('"failures":2'));
    await recording.stop();
    t.match(recording.log, /sent what is no report/);
    t.match(recording.gaps, [{ reason: 'capture_crashed', code: 'CAPTURE_FAILED' }]);
    t.strictSame(childPids(), []);
  }
});
