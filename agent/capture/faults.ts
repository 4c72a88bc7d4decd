// From an error of GStreamer to one of ours. Pure. GStreamer gives the binding no codes, so its
// untranslated texts are told apart here, and nowhere else.
import type { SourceConfig } from '../../proto/agent-config.ts';
import { type ErrorCode, LenscapError } from '../../proto/errors.ts';
import type { Fault } from './protocol.ts';
import { MICROPHONE } from './sound.ts';

const RULES: readonly (readonly [RegExp, ErrorCode])[] = [
  [/unauthorized|not authorized|\b401\b/i, 'CAPTURE_UNAUTHORIZED'],
  [
    /no element|no property|could not link|missing a plug-in|could not determine type|appears to be|no playable|no known streams|no valid frames|not-negotiated|wrong type|unsupported|not supported|cannot demux|no supported stream|contains no data|could not decode|failed to decode|invalid|moov/i,
    'CAPTURE_UNSUPPORTED',
  ],
  [
    /not found|no such|cannot identify device|getting capabilities|could not open|could not connect|failed to connect|could not read|could not receive|could not write|connection|not a (capture|output) device|permission denied|is busy|no cameras?|could not find/i,
    'CAPTURE_NO_SOURCE',
  ],
];

const ADVICE: Readonly<Record<SourceConfig['type'], string>> = {
  v4l2: 'check that the camera is plugged in, that source.device names it and that nothing else uses it',
  rtsp: 'check that source.url is right and that the camera can be reached',
  libcamera: 'check the cable of the camera, and source.camera against `cam -l`',
  file: 'check source.path and that the agent may read it',
  test: 'check the installation of GStreamer',
};

/** The error of a broken pipeline, with what to do. `secrets` never appear in it. */
export function captureError(
  fault: Fault,
  source: SourceConfig,
  secrets: readonly string[] = [],
): LenscapError {
  const code = codeOf(fault);
  const said = redact(fault.message, secrets).split('\n')[0]?.slice(0, 200) || 'no reason given';
  return new LenscapError(code, `${said} (${source.type}): ${adviceFor(code, fault, source)}`);
}

/** Text without any of the secrets. */
export function redact(text: string, secrets: readonly string[]): string {
  return secrets.reduce((rest, secret) => (secret ? rest.replaceAll(secret, '***') : rest), text);
}

function codeOf({ message, debug }: Fault): ErrorCode {
  // The message first: the debug text tells of places in the code as well.
  for (const text of [message, debug])
    for (const [pattern, code] of RULES) if (pattern.test(text)) return code;
  return 'CAPTURE_FAILED';
}

function adviceFor(code: ErrorCode, { element }: Fault, source: SourceConfig): string {
  if (element === MICROPHONE) return 'check audio.device against `arecord -L`';
  if (code === 'CAPTURE_UNAUTHORIZED')
    return 'check user and password in the file that source.credentialsFile names';
  if (code !== 'CAPTURE_UNSUPPORTED') return ADVICE[source.type];
  if (source.type === 'v4l2')
    return 'choose source.format, video.width and video.height among what `v4l2-ctl --list-formats-ext` prints';
  return source.type === 'file'
    ? 'check with `ffprobe` that the file is whole and has a video track'
    : 'choose another codec on the camera, or install the GStreamer plugins for this one';
}
