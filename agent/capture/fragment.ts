// What a moof box says about its one track: decode time, length, and whether it begins with a
// keyframe; and the one repair that is made to it.
import { children, malformed, needBox, reading } from './boxes.ts';

export interface Fragment {
  readonly trackId: number;
  /** Decode time of the first sample and sum of sample durations, in units of the track. */
  readonly start: number;
  readonly duration: number;
  /** Of each sample, but of no more than MAX_DURATIONS in a run where all are alike. */
  readonly durations: readonly number[];
  readonly sampleCount: number;
  /** Whether the first sample can be decoded without any before it. */
  readonly isSync: boolean;
}

interface Defaults {
  readonly trackId: number;
  readonly duration: number;
  readonly flags: number;
}

interface Run {
  readonly sampleCount: number;
  readonly duration: number;
  readonly durations: readonly number[];
  readonly firstFlags: number;
}

/** A damaged number of samples must not fill the memory. */
const MAX_DURATIONS = 256;
const SAMPLE_IS_NON_SYNC = 0x10000;

/** @throws CAPTURE_FAILED when a moof (header included) is damaged or holds several tracks. */
export function parseFragment(moof: Buffer): Fragment {
  return reading('moof', () => {
    const trafs = children(moof.subarray(8)).filter(({ type }) => type === 'traf');
    const traf = trafs[0]?.body;
    if (traf === undefined || trafs.length > 1) return malformed('a moof holds one track');
    const defaults = parseDefaults(needBox(traf, 'tfhd'));
    const tfdt = needBox(traf, 'tfdt');
    const runs = children(traf)
      .filter(({ type }) => type === 'trun')
      .map(({ body }) => parseRun(body, defaults));
    const firstFlags = runs[0]?.firstFlags ?? SAMPLE_IS_NON_SYNC;
    return {
      trackId: defaults.trackId,
      start: tfdt[0] === 1 ? Number(tfdt.readBigUInt64BE(4)) : tfdt.readUInt32BE(4),
      duration: runs.reduce((sum, run) => sum + run.duration, 0),
      durations: runs.flatMap((run) => run.durations),
      sampleCount: runs.reduce((sum, run) => sum + run.sampleCount, 0),
      isSync: (firstFlags & SAMPLE_IS_NON_SYNC) === 0,
    };
  });
}

function parseDefaults(tfhd: Buffer): Defaults {
  const present = tfhd.readUIntBE(1, 3);
  let at = 8;
  if (present & 0x1) at += 8;
  if (present & 0x2) at += 4;
  const durationAt = at;
  if (present & 0x8) at += 4;
  if (present & 0x10) at += 4;
  return {
    trackId: tfhd.readUInt32BE(4),
    duration: present & 0x8 ? tfhd.readUInt32BE(durationAt) : 0,
    flags: present & 0x20 ? tfhd.readUInt32BE(at) : SAMPLE_IS_NON_SYNC,
  };
}

function parseRun(trun: Buffer, defaults: Defaults): Run {
  const present = trun.readUIntBE(1, 3);
  const sampleCount = trun.readUInt32BE(4);
  let at = 8 + (present & 0x1 ? 4 : 0);
  let firstFlags: number | undefined;
  if (present & 0x4) {
    firstFlags = trun.readUInt32BE(at);
    at += 4;
  }
  const hasDuration = (present & 0x100) !== 0;
  const sizeBytes = present & 0x200 ? 4 : 0;
  const flagsAt = (hasDuration ? 4 : 0) + sizeBytes;
  const stride = flagsAt + (present & 0x400 ? 4 : 0) + (present & 0x800 ? 4 : 0);
  if (present & 0x400 && sampleCount > 0) firstFlags ??= trun.readUInt32BE(at + flagsAt);
  const durations: number[] = [];
  const listed = hasDuration ? sampleCount : Math.min(sampleCount, MAX_DURATIONS);
  for (let sample = 0; sample < listed; sample += 1)
    durations.push(hasDuration ? trun.readUInt32BE(at + sample * stride) : defaults.duration);
  const duration = hasDuration
    ? durations.reduce((sum, one) => sum + one, 0)
    : sampleCount * defaults.duration;
  return { sampleCount, duration, durations, firstFlags: firstFlags ?? defaults.flags };
}

/**
 * Gives samples of no length half of their neighbour's, in place. They come from sources that have
 * two samples at one time, such as a recording where it begins again, and upset decoders.
 * @throws CAPTURE_FAILED when a moof (header included) is damaged.
 */
export function mendDurations(moof: Buffer): void {
  reading('moof', () => {
    for (const { type, body } of children(needBox(moof.subarray(8), 'traf')))
      if (type === 'trun') mendRun(body);
  });
}

function mendRun(trun: Buffer): void {
  const present = trun.readUIntBE(1, 3);
  if (!(present & 0x100)) return;
  const count = trun.readUInt32BE(4);
  const first = 8 + (present & 0x1 ? 4 : 0) + (present & 0x4 ? 4 : 0);
  const stride = 4 * [0x100, 0x200, 0x400, 0x800].filter((flag) => present & flag).length;
  for (let sample = 0; sample < count; sample += 1) {
    const at = first + sample * stride;
    if (trun.readUInt32BE(at) !== 0 || count < 2) continue;
    const neighbour = first + (sample === 0 ? 1 : sample - 1) * stride;
    const half = trun.readUInt32BE(neighbour) >> 1;
    trun.writeUInt32BE(half, at);
    trun.writeUInt32BE(trun.readUInt32BE(neighbour) - half, neighbour);
  }
}
