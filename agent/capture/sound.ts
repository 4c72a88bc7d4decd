// The branch of sound: whether there is one, from where, and how it is stored and heard. Pure.
// INVARIANT: as in pipeline.ts; without an encoder no microphone is opened.
import type { AudioConfig, SourceConfig } from '../../proto/agent-config.ts';
import { audioEncoder } from './encoders.ts';
import { GAIN, LOUDNESS } from './picture.ts';
import { AUDIO_RTP, hasOwnSound, oneSegment, track } from './source.ts';
import { FILE_AUDIO_CAPS, type Tracks } from './tracks.ts';

/** What the branch is made from. */
export interface SoundInput {
  readonly source: SourceConfig;
  readonly audio: AudioConfig;
  readonly tracks: Tracks;
  /** Name from encoders.ts; null where no sound is encoded. */
  readonly audioEncoder: string | null;
}

const AAC_RATES = '{48000,44100,32000,24000,22050,16000,12000,11025,8000}';

/** Tells how loud it is, five times a second. */
const LEVEL = `level name=${LOUDNESS} interval=200000000`;

/** Name of the element that is the microphone. */
export const MICROPHONE = 'mic';

/** Whether there would be sound if the owner consented to it. */
export function wantsSound(source: SourceConfig, audio: AudioConfig): boolean {
  const isThere = audio.source === 'alsa' || (audio.source === 'source' && hasOwnSound(source));
  return audio.on && isThere;
}

/** Whether the pipeline has a branch of sound, and of what kind; null: none. */
export function soundOf({
  audio,
  tracks,
  audioEncoder,
}: Omit<SoundInput, 'source'>): 'encoded' | 'passed' | null {
  const hasMicrophone = audio.source === 'alsa' && audioEncoder !== null;
  if (hasMicrophone) return 'encoded';
  if (tracks.audio === null) return null;
  return audioEncoder === null ? 'passed' : 'encoded';
}

/** From the source of sound up to the muxer. */
export function audioBranch(input: SoundInput): string {
  const { source, audio, tracks } = input;
  if (audio.source === 'alsa')
    // Without its clock: times of capture are those of the machine, not of the sound card.
    return `alsasrc name=${MICROPHONE} provide-clock=false ! queue ! ${encodeAudio(input)}`;
  if (source.type === 'test')
    return `audiotestsrc is-live=true freq=440 volume=0.1 samplesperbuffer=2048 ! audio/x-raw,rate=48000,channels=1 ! ${encodeAudio(input)}`;
  const isFile = source.type === 'file';
  const from = track(isFile ? FILE_AUDIO_CAPS : AUDIO_RTP);
  if (input.audioEncoder !== null)
    return `${from} ! decodebin ! ${oneSegment(isFile)}queue ! ${encodeAudio(input)}`;
  const depay = {
    aac: 'rtpmp4gdepay',
    'aac-latm': 'rtpmp4adepay',
    opus: 'rtpopusdepay',
    other: '',
  };
  const unpack = isFile ? '' : ` ! ${depay[tracks.audio ?? 'other']}`;
  return `${from}${unpack} ! ${tracks.audio === 'opus' ? 'opusparse' : 'aacparse'} ! ${listened(input)}queue ! mux.`;
}

/** Sound that is passed on has to be decoded to be heard. */
function listened({ source, audio }: SoundInput): string {
  if (audio.eventDb === null) return '';
  const level = `decodebin ! audioconvert ! ${LEVEL} ! fakesink sync=${source.type === 'file'} async=false`;
  return `tee name=heard  heard. ! queue ! ${level}  heard. ! `;
}

function encodeAudio({ audio, audioEncoder: name }: SoundInput): string {
  const rates = audio.codec === 'opus' ? '48000' : AAC_RATES;
  const parse = audio.codec === 'opus' ? 'opusparse' : 'aacparse';
  return `audioconvert ! audioresample ! audio/x-raw,rate=${rates},channels=[1,2] ! volume name=${GAIN} ! ${LEVEL} ! audioconvert ! ${audioEncoder(name ?? '', audio.bitrateKbps)} ! ${parse} ! queue ! mux.`;
}
