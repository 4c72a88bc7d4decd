// How much a change of settings asks of a capture that runs. Pure.
// INVARIANT: what is not known to be changed live needs a restart.
import { isDeepStrictEqual } from 'node:util';
import type { CaptureConfig } from './session-terms.ts';

/**
 * `none`: the capture is not concerned. `live`: Capture.adjust() does it, unless it answers that the
 * capture that runs cannot. `restart`: the capture has to begin anew.
 */
export type Change = 'none' | 'live' | 'restart';

/** What changes while pictures flow, by group; `true`: the whole group. */
const LIVE: { readonly [G in keyof CaptureConfig]: true | readonly (keyof CaptureConfig[G])[] } = {
  source: [],
  video: ['bitrateKbps'],
  audio: ['gainDb', 'eventDb'],
  segment: [],
  capture: [],
  recording: ['preRollMs', 'postRollMs', 'schedule'],
  motion: true,
  masks: true,
  overlay: true,
  // Matters where the clock is shown, which adjust() knows.
  clock: true,
  label: true,
};

/** The greatest change among all settings of a capture. */
export function changeOf(before: CaptureConfig, after: CaptureConfig): Change {
  const changes = [
    changeIn(LIVE.source, before.source, after.source),
    changeIn(LIVE.video, before.video, after.video),
    changeIn(LIVE.audio, before.audio, after.audio),
    changeIn(LIVE.segment, before.segment, after.segment),
    changeIn(LIVE.capture, before.capture, after.capture),
    changeIn(LIVE.recording, before.recording, after.recording),
    changeIn(LIVE.motion, before.motion, after.motion),
    changeIn(LIVE.masks, before.masks, after.masks),
    changeIn(LIVE.overlay, before.overlay, after.overlay),
    changeIn(LIVE.clock, before.clock, after.clock),
    // Where a camera is stands in no picture.
    changeIn(LIVE.label, { name: before.label.name }, { name: after.label.name }),
  ];
  if (changes.includes('restart')) return 'restart';
  return changes.includes('live') ? 'live' : 'none';
}

function changeIn(live: true | readonly PropertyKey[], before: object, after: object): Change {
  if (isDeepStrictEqual(before, after)) return 'none';
  if (live === true) return 'live';
  const rest = (group: object): object =>
    Object.fromEntries(Object.entries(group).filter(([name]) => !live.includes(name)));
  return isDeepStrictEqual(rest(before), rest(after)) ? 'live' : 'restart';
}
