// Small gray frames for eyes that look for motion: of clips, through ffmpeg, and made of numbers.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Detector } from '../../../agent/motion/detector.ts';
import { FRAME_BYTES, FRAME_HEIGHT, FRAME_WIDTH } from '../../../agent/motion/frame.ts';
import { Spell } from '../../../agent/motion/spell.ts';
import type { MotionConfig, Polygon } from '../../../proto/settings.ts';

const run = promisify(execFile);

/** A surveillance view of people on a path; too large to be kept here, so a folder may name it. */
export function walkers(): string | null {
  const { LENSCAP_CLIPS: folder } = process.env;
  const path = join(folder ?? '', 'vtest.avi');
  return folder !== undefined && existsSync(path) ? path : null;
}

/** The frames of a clip as the capture makes them: 160x90, five a second, nearest pixels. */
export async function framesOf(path: string, filter = 'null'): Promise<Uint8Array[]> {
  const small = `${filter},fps=5,scale=${FRAME_WIDTH}:${FRAME_HEIGHT}:flags=neighbor,format=gray`;
  const { stdout } = await run(
    'ffmpeg',
    ['-v', 'error', '-i', path, '-vf', small, '-f', 'rawvideo', '-'],
    {
      encoding: 'buffer',
      maxBuffer: 64 << 20,
    },
  );
  return Array.from({ length: stdout.length / FRAME_BYTES }, (_, nth) =>
    stdout.subarray(nth * FRAME_BYTES, (nth + 1) * FRAME_BYTES),
  );
}

/** A gray picture of a function of the place, in pixels. */
export function picture(level: (x: number, y: number) => number): Uint8Array {
  return Uint8Array.from({ length: FRAME_BYTES }, (_, at) =>
    Math.max(0, Math.min(255, Math.round(level(at % FRAME_WIDTH, Math.floor(at / FRAME_WIDTH))))),
  );
}

const VIEW = picture(
  (x, y) => 90 + 40 * Math.sin(x / 5) * Math.cos(y / 7) + (x > 60 && x < 90 && y > 20 ? 50 : 0),
);

/** With edges, as most views have. */
export function view(x: number, y: number): number {
  return VIEW[y * FRAME_WIDTH + x] ?? 0;
}

export interface Spotted {
  /** Seconds of its first and last frame; the end is null while it lasts. */
  readonly from: number;
  readonly to: number | null;
  /** Seconds from its first frame until it was known. */
  readonly knownAfter: number;
}

/** What a fresh detector sees in frames, one each fifth of a second. */
export function spotted(
  frames: Iterable<Uint8Array>,
  over: Partial<Pick<MotionConfig, 'sensitivityPercent' | 'zones'>> = {},
): Spotted[] {
  const zones: readonly Polygon[] = [];
  const config = { sensitivityPercent: 50, zones, ...over };
  const detector = new Detector();
  const spell = new Spell({ signs: 2, within: 3, quietUs: 2_000_000 });
  const found: Spotted[] = [];
  let nth = 0;
  for (const frame of frames) {
    const { isMoving, percent } = detector.push(frame, config);
    const turn = spell.look(nth * 200_000, isMoving ? percent : null);
    const now = nth / 5;
    if (turn?.kind === 'begun')
      found.push({ from: turn.atUs / 1e6, to: null, knownAfter: now - turn.atUs / 1e6 });
    const last = found.at(-1);
    if (turn?.kind === 'ended' && last !== undefined)
      found[found.length - 1] = { ...last, to: turn.atUs / 1e6 };
    nth += 1;
  }
  return found;
}

export function box(left: number, top: number, right: number, bottom: number): Polygon {
  return [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
}
