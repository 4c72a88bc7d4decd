// What is done to a picture between the source and the encoder: turned, lightened, masked, written
// upon, and looked at. Launch text and the properties that say the rest. Pure.
// INVARIANTS: the launch text is the same whatever a name or a mask says; small gray pictures and
// stills are taken behind the masks.
import type { Settings, VideoConfig } from '../../proto/settings.ts';
import { GRAY_HEIGHT, GRAY_RATE, GRAY_WIDTH } from './gray.ts';
import type { Property } from './protocol.ts';

/** Descriptors of the child beside the one for media. */
export const GRAY_FD = 5;
export const STILL_FD = 6;
export const MASK_FD = 7;

/** Elements that are told something while pictures flow. */
export const ENCODER = 'enc';
export const GAIN = 'gain';
export const LOUDNESS = 'loudness';
export const EYES = 'eyes';
export const STILL = 'still';
const LABEL = 'label';
const WALL_CLOCK = 'wall';
/** Two, of which one is in force: the next masks are drawn before the last ones go. */
export const MASKS = ['mask_a', 'mask_b'] as const;
export type MaskElement = (typeof MASKS)[number];

type Seen = Pick<Settings, 'motion' | 'recording' | 'masks'>;
type Drawn = Pick<Settings, 'video' | 'masks' | 'overlay'>;

/** Whether something is drawn or turned, so that pictures have to be encoded here. */
export function isDrawn({ video, masks, overlay }: Drawn): boolean {
  const { rotation, flip, brightness } = video;
  const isTurned = rotation !== 0 || flip !== 'none' || brightness !== 0;
  return isTurned || masks.length > 0 || overlay.name || overlay.clock;
}

/** Whether small gray pictures are wanted: for motion, or to prove the masks. */
export function isWatched({ motion, recording, masks }: Seen): boolean {
  return motion.on || recording.mode === 'motion' || masks.length > 0;
}

/** Size of the pictures of the source, which may lie on its side. */
export function sourceSize({ width, height, rotation }: VideoConfig): string {
  const isUpright = rotation === 0 || rotation === 180;
  return isUpright ? `width=${width},height=${height}` : `width=${height},height=${width}`;
}

/** Of `video-direction`: the older `method` has no effect in the launch text of GStreamer 1.22. */
const TURNS: Readonly<
  Record<VideoConfig['rotation'], Readonly<Record<VideoConfig['flip'], string>>>
> = {
  0: { none: 'identity', horizontal: 'horiz', vertical: 'vert' },
  90: { none: '90r', horizontal: 'ul-lr', vertical: 'ur-ll' },
  180: { none: '180', horizontal: 'vert', vertical: 'horiz' },
  270: { none: '90l', horizontal: 'ur-ll', vertical: 'ul-lr' },
};

/** Turns, then mirrors; then brightness. Ends with ` ! ` unless there is nothing to do. */
export function turned({ rotation, flip, brightness }: VideoConfig): string {
  const direction = TURNS[rotation][flip];
  const turn = direction === 'identity' ? '' : `videoflip video-direction=${direction} ! `;
  return brightness === 0 ? turn : `${turn}videobalance brightness=${brightness / 100} ! `;
}

const NEWEST = 'queue leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0';
/** Closed: nothing passes but what later buffers need, and the end. */
const CLOSED = 'drop=true drop-mode=forward-sticky-events';
const SMALL = `videoscale add-borders=false ! videoconvert ! video/x-raw,format=GRAY8,width=${GRAY_WIDTH},height=${GRAY_HEIGHT}`;

/** Of a recording, which comes in bursts ahead of its time: none may be passed over. */
const SOON_LENGTH = 10;
const SOON = `queue max-size-buffers=${SOON_LENGTH} max-size-bytes=0 max-size-time=0`;

/**
 * Most small gray pictures in the child at a time: those that wait, the one before the queue and the
 * one on its way into the descriptor.
 */
export function mostGrayUnderWay(isFile: boolean): number {
  return (isFile ? SOON_LENGTH : 1) + 2;
}

/** Small gray pictures into their descriptor. A recording is paced, as where it is stored. */
function gray(isFile: boolean): string {
  return `valve name=${EYES} ${CLOSED} ! videorate drop-only=true max-rate=${GRAY_RATE} ! ${isFile ? SOON : NEWEST} ! ${SMALL} ! fdsink fd=${GRAY_FD} sync=${isFile} async=false`;
}

const JPEG = `videoconvert ! jpegenc ! fdsink fd=${STILL_FD} sync=false async=false`;

/** From raw pictures of their final size to those that are encoded, with all that branches off. */
export function drawn(isFile: boolean): string {
  const masks = MASKS.map((name) => `gdkpixbufoverlay name=${name} alpha=0`).join(' ! ');
  const label = `textoverlay name=${LABEL} valignment=top halignment=left silent=true`;
  const clock = `clockoverlay name=${WALL_CLOCK} valignment=bottom halignment=left silent=true`;
  const branches = [
    `${masks} ! tee name=masked`,
    `masked. ! ${gray(isFile)}`,
    `masked. ! ${label} ! ${clock} ! tee name=written`,
    `written. ! valve name=${STILL} ${CLOSED} ! ${NEWEST} ! ${JPEG}`,
    'written.',
  ];
  return branches.join('  ');
}

/**
 * H.264 that is passed on as it came, with what branches off. For a still every keyframe is decoded,
 * since a decoder that is let alone in between hands out old pictures.
 */
export function passed(isFile: boolean, seen: Seen): string {
  const still = `coded. ! identity drop-buffer-flags=delta-unit ! queue leaky=downstream ! avdec_h264 max-threads=1 ! valve name=${STILL} ${CLOSED} ! ${JPEG}`;
  const eyes = `coded. ! queue leaky=downstream max-size-buffers=100 max-size-bytes=0 max-size-time=0 ! decodebin ! ${gray(isFile)}`;
  const branches = ['tee name=coded', still, ...(isWatched(seen) ? [eyes] : []), 'coded. ! queue'];
  return branches.join('  ');
}

/** What is written into the picture; of all strings that reach GStreamer, a name is a person's. */
export function writing({ overlay, label }: Pick<Settings, 'overlay' | 'label'>): Property[] {
  const isNamed = overlay.name && label.name !== null;
  return [
    { element: LABEL, name: 'text', value: isNamed ? markup(label.name ?? '') : '' },
    { element: LABEL, name: 'silent', value: !isNamed },
    { element: WALL_CLOCK, name: 'time-format', value: '%Y-%m-%d %H:%M:%S' },
    { element: WALL_CLOCK, name: 'silent', value: !overlay.clock },
  ];
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Text as it is, for an element that takes markup. */
function markup(text: string): string {
  return text.replace(/[&<>"']/g, (sign) => ENTITIES[sign] ?? '');
}

/** Whether small gray pictures pass. */
export function watching(seen: Seen): Property {
  return { element: EYES, name: 'drop', value: !isWatched(seen) };
}

/** Loudness of sound that is encoded here, and whether it is told. */
export function sounding({ gainDb, eventDb }: Settings['audio'], isEncoded: boolean): Property[] {
  const told = { element: LOUDNESS, name: 'post-messages', value: eventDb !== null };
  const gain = { element: GAIN, name: 'volume', value: 10 ** (gainDb / 20) };
  return isEncoded ? [gain, told] : [told];
}
