// Launch strings: made of vetted parts alone, whatever the configuration holds.
import t from 'tap';
import { VIDEO_ENCODERS, videoEncoder } from '../../../agent/capture/encoders.ts';
import { capturePlan, type PipelineInput } from '../../../agent/capture/pipeline.ts';
import { knownTracks } from '../../../agent/capture/source.ts';
import { fileAudio, rtspAudio, rtspVideo } from '../../../agent/capture/tracks.ts';
import { inspectionPlan } from '../../../agent/capture/trial-plans.ts';
import type { SourceConfig } from '../../../proto/agent-config.ts';
import { captureConfig, type Overrides } from './harness.ts';

function input(
  source: SourceConfig,
  over: Partial<PipelineInput> = {},
  settings: Overrides = {},
): PipelineInput {
  return {
    ...captureConfig(source, settings),
    credentials: null,
    tracks: knownTracks(source, true),
    videoEncoder: 'x264enc',
    audioEncoder: 'avenc_aac',
    ...over,
  };
}

const RTSP: SourceConfig = {
  type: 'rtsp',
  url: 'rtsp://h/cam',
  credentialsFile: null,
  transport: 'udp',
  latencyMs: 321,
};
const H264_AAC = { tracks: { video: 'h264', audio: 'aac' }, audioEncoder: null } as const;

const plans: Record<string, { input: PipelineInput; has: RegExp; not: RegExp }> = {
  'raw v4l2 is converted and encoded': {
    input: input({ type: 'v4l2', device: '/dev/video0', format: 'raw' }),
    has: /^v4l2src name=src ! video\/x-raw ! .*format=I420,width=160,height=120,framerate=15\/1.* ! x264enc .*bitrate=200 key-int-max=15 ! h264parse/,
    not: /audio|jpegdec/,
  },
  'MJPEG v4l2 is decoded': {
    input: input({ type: 'v4l2', device: '/dev/video0', format: 'mjpeg' }),
    has: /image\/jpeg,width=160,height=120 ! queue ! jpegdec ! .*x264enc/,
    not: /audio/,
  },
  'H.264 v4l2 is passed through': {
    input: input({ type: 'v4l2', device: '/dev/video0', format: 'h264' }),
    has: /^v4l2src name=src ! video\/x-h264,width=160,height=120 ! h264parse/,
    not: /x264enc|videoscale/,
  },
  'libcamera is encoded': {
    input: input({ type: 'libcamera', camera: null }),
    has: /^libcamerasrc name=src ! video\/x-raw,width=160,height=120 ! .*x264enc/,
    not: /audio/,
  },
  'a microphone goes with a camera, without its clock': {
    input: input(
      { type: 'v4l2', device: '/dev/video0', format: 'h264' },
      {},
      { audio: { source: 'alsa' } },
    ),
    has: /alsasrc name=mic provide-clock=false ! .* ! avenc_aac bitrate=64000 ! aacparse/,
    not: /default/,
  },
  'no microphone without an encoder for it': {
    input: input(
      { type: 'v4l2', device: '/dev/video0', format: 'h264' },
      { audioEncoder: null },
      { audio: { source: 'alsa' } },
    ),
    has: /mp4mux/,
    not: /alsasrc|audio/,
  },
  'RTSP H.264 and AAC pass through': {
    input: input(RTSP, H264_AAC),
    has: /protocols=udp latency=321 .*rtph264depay ! h264parse .*rtpmp4gdepay ! aacparse/,
    not: /x264enc|decodebin/,
  },
  'RTSP with anything else is decoded': {
    input: input(RTSP, { tracks: { video: 'other', audio: 'other' } }),
    has: /media=\(string\)video" ! decodebin ! .*x264enc.*media=\(string\)audio" ! decodebin ! .*avenc_aac/,
    not: /depay/,
  },
  'a source without sound gets no branch for it': {
    input: input(RTSP, { tracks: { video: 'h264', audio: null } }),
    has: /rtph264depay/,
    not: /audio|aac/,
  },
};
for (const [name, { input: given, has, not }] of Object.entries(plans))
  t.test(name, async (t) => {
    const { launch } = capturePlan(given);
    t.match(launch, has);
    t.notMatch(launch, not);
    t.match(launch, /mp4mux name=mux trak-timescale=90000 fragment-duration=200 streamable=true/);
  });

t.test('no text of the configuration reaches a launch string', async (t) => {
  const evil = 'x" ! filesink location=/etc/passwd name="EVIL ! $(EVIL) \n';
  const credentials = { user: `u${evil}`, password: `p${evil}` };
  const sources: SourceConfig[] = [
    { type: 'file', path: evil, loop: true },
    { ...RTSP, url: evil },
    { type: 'v4l2', device: evil, format: 'raw' },
    { type: 'libcamera', camera: evil },
  ];
  const settings = { audio: { source: 'alsa', device: evil }, video: { encoder: evil } } as const;
  for (const source of sources) {
    const login = source.type === 'rtsp' ? credentials : null;
    for (const encoder of ['x264enc', evil]) {
      const over = { credentials: login, videoEncoder: encoder };
      const { launch, properties } = capturePlan(input(source, over, settings));
      t.notMatch(launch, /EVIL|passwd|filesink/, source.type);
      t.ok(properties.some(({ value }) => String(value).includes(evil)));
    }
    t.notMatch(inspectionPlan(source, login, true).launch, /EVIL|passwd|filesink/);
  }
  t.strictSame(
    capturePlan(input({ ...RTSP, url: 'rtsp://a/b' }, { credentials }))
      .properties.filter(({ element }) => element === 'd')
      .map(({ name }) => name),
    ['location', 'user-id', 'user-pw'],
  );
});

t.test('neither a name nor a mask changes a launch string by a byte', async (t) => {
  const names = ['x', '! filesink location=/tmp/x', '<span>', '" name=y', '\\', '%', '\u0000'];
  const sources: SourceConfig[] = [
    { type: 'test' },
    { type: 'file', path: 'x', loop: true },
    { ...RTSP },
    { type: 'v4l2', device: '/dev/video0', format: 'h264' },
  ];
  for (const source of sources) {
    const overlay = { name: true, clock: true };
    const plain = capturePlan(input(source, {}, { overlay }));
    for (const name of names) {
      const masks = [
        [
          [0, 0],
          [0.123, 0],
          [0.4567, 1],
        ],
      ] as const;
      const label = { name, location: name };
      const clock = { timeZone: 'Europe/Berlin' };
      const plan = capturePlan(input(source, {}, { overlay, label, masks, clock }));
      t.equal(plan.launch, plain.launch);
    }
    const text = capturePlan(input(source, {}, { overlay, label: { name: `<b>&"'` } })).properties;
    t.ok(text.some(({ value }) => value === '&lt;b&gt;&amp;&quot;&apos;'));
  }
});

t.test('what is drawn makes H.264 be encoded anew, and nothing else does', async (t) => {
  const masks = [
    [
      [0, 0],
      [1, 0],
      [1, 1],
    ],
  ] as const;
  const drawn: Overrides[] = [
    { masks },
    { overlay: { clock: true } },
    { overlay: { name: true } },
    { video: { rotation: 180 } },
    { video: { flip: 'vertical' } },
    { video: { brightness: 1 } },
  ];
  for (const over of drawn)
    t.match(capturePlan(input(RTSP, H264_AAC, over)).launch, /decodebin .*x264enc/);
  const kept: Overrides[] = [{ motion: { on: true } }, { audio: { gainDb: 3 } }, {}];
  for (const over of kept) t.notMatch(capturePlan(input(RTSP, H264_AAC, over)).launch, /x264enc/);
});

t.test('a camera that hangs on its side is asked for pictures that lie', async (t) => {
  const camera = { type: 'v4l2', device: '/dev/video0', format: 'mjpeg' } as const;
  const { launch } = capturePlan(input(camera, {}, { video: { rotation: 90 } }));
  t.match(launch, /image\/jpeg,width=120,height=160 .*video-direction=90r.*width=160,height=120/);
});

t.test('the tracks of a source are linked by an element, never by a filter', async (t) => {
  const sources: SourceConfig[] = [RTSP, { type: 'file', path: 'x', loop: true }];
  for (const source of sources)
    for (const tracks of [H264_AAC.tracks, { video: 'other', audio: 'other' }] as const) {
      const { launch } = capturePlan(input(source, { tracks }));
      t.equal(launch.match(/\bd\. ! capsfilter caps="/g)?.length, 2, launch);
      t.equal(launch.match(/\bd\. /g)?.length, 2);
    }
});

t.test('every encoder is told bit rate and keyframe interval', async (t) => {
  const { video } = captureConfig({ type: 'test' }, { video: { bitrateKbps: 777, frameRate: 10 } });
  for (const name of VIDEO_ENCODERS)
    t.match(videoEncoder(name, video), /777(000)?\b.*\b10\b/, name);
  t.equal(videoEncoder('constructor', video), undefined);
});

t.test('tracks are told apart by their caps, and by nothing else', async (t) => {
  t.equal(fileAudio({ name: 'audio/mpeg', mpegversion: 4 }), 'aac');
  t.equal(fileAudio({ name: 'audio/mpeg', mpegversion: 1 }), 'other');
  t.equal(fileAudio({ name: 'audio/x-opus' }), 'opus');
  t.equal(rtspAudio({ 'encoding-name': 'MPEG4-GENERIC' }), 'aac');
  t.equal(rtspAudio({ 'encoding-name': 'x ! evil' }), 'other');
  t.equal(rtspVideo({ 'encoding-name': 'H264' }), 'h264');
  t.equal(rtspVideo({ 'encoding-name': 'H265' }), 'other');
});
