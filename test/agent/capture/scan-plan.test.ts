// The launch strings for looking at QR codes.
import t from 'tap';
import { scanPlan } from '../../../agent/capture/scan-plan.ts';
import type { SourceConfig } from '../../../proto/agent-config.ts';
import { captureConfig } from './harness.ts';

const { video } = captureConfig({ type: 'test' });
const hostile = 'x" ! filesink location=/tmp/stolen';
const sources: readonly SourceConfig[] = [
  { type: 'test' },
  { type: 'file', path: hostile, loop: true },
  { type: 'libcamera', camera: hostile },
  { type: 'libcamera', camera: null },
  {
    type: 'rtsp',
    url: `rtsp://h/${hostile}`,
    credentialsFile: null,
    transport: 'tcp',
    latencyMs: 1,
  },
  { type: 'v4l2', device: `/dev/${hostile}`, format: 'raw' },
  { type: 'v4l2', device: `/dev/${hostile}`, format: 'mjpeg' },
  { type: 'v4l2', device: `/dev/${hostile}`, format: 'h264' },
];

t.test('pictures of every source end in the reader of codes, and nowhere else', async (t) => {
  for (const source of sources) {
    const { launch, properties } = scanPlan(source, video, { user: hostile, password: hostile });
    t.match(launch, / ! zbar ! fakesink sync=(true|false)$/, source.type);
    t.equal(launch.match(/sink\b/g)?.length, 1, 'one sink');
    t.notMatch(launch, /stolen|attach-frame/);
    t.equal(launch.split('progressreport').length, 2);
    for (const { element } of properties) t.match(launch, new RegExp(`name=${element}\\b`));
  }
});

t.test('a recording is paced, a camera is never waited for', async (t) => {
  for (const source of sources) {
    const { launch } = scanPlan(source, video, null);
    const isFile = source.type === 'file';
    t.equal(launch.endsWith('sync=true'), isFile);
    t.equal(launch.includes('leaky'), !isFile);
  }
});
