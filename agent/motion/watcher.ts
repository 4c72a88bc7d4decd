// Watches the small gray pictures and the loudness of a capture: tells what begins and ends, and what
// is to be recorded in motion mode.
// INVARIANTS: what has begun ends: at the latest when nothing has been seen for a while, or the
// settings do not ask for it any more. What the settings themselves do to the picture is no event.
import { isDeepStrictEqual } from 'node:util';
import type { Settings as Values } from '../../proto/settings.ts';
import type { Events, Happening } from '../events/events.ts';
import type { Roll } from '../recording/roll.ts';
import { Detector } from './detector.ts';
import { Loudness } from './sound.ts';
import { Spell, type Turn } from './spell.ts';
import { Tamper } from './tamper.ts';

/** Motion begins with two of three frames that show it. */
const MOTION = { signs: 2, within: 3, quietUs: 2_000_000 };
/** Frames come each 0.2 s; after so long without any, what comes is not what follows. */
const LOST_US = 2_000_000;
/** After so long what the settings changed is in the picture. */
const CHANGED_US = 1_000_000;

export interface WatcherDeps {
  readonly settings: {
    now(): Pick<Values, 'motion' | 'recording' | 'audio' | 'video' | 'masks'>;
  };
  readonly roll: Pick<Roll, 'begun' | 'ended'>;
  readonly events: Pick<Events, 'begin'>;
  /** Motion has begun; its event's id where there is one. */
  readonly onMotion?: (eventId: string | null) => void;
}

type Kind = 'motion' | 'sound' | 'covered' | 'moved';

export class Watcher {
  readonly #deps: WatcherDeps;
  readonly #spell = new Spell(MOTION);
  readonly #loudness = new Loudness();
  readonly #happenings = new Map<Kind, Happening>();
  readonly #detector = new Detector();
  readonly #tamper = new Tamper();
  /** The settings that made the picture. */
  #drawn: Pick<Values, 'video' | 'masks'> | null = null;
  #changedUs = Number.NEGATIVE_INFINITY;
  #lastUs = Number.NEGATIVE_INFINITY;
  /** What ends it all when no picture, or no sound, comes any more. */
  #eyes: NodeJS.Timeout | undefined;
  #ears: NodeJS.Timeout | undefined;

  constructor(deps: WatcherDeps) {
    this.#deps = deps;
  }

  /** The next small gray picture, masked. */
  gray(frame: Uint8Array, monoUs: number): void {
    const { motion, recording } = this.#deps.settings.now();
    if (!motion.on && recording.mode !== 'motion') {
      this.#blind();
      return;
    }
    this.#stay(monoUs);
    if (this.#isChanging(monoUs)) return;
    const { percent, isMoving } = this.#detector.push(frame, motion);
    this.#motion(this.#spell.look(monoUs, isMoving ? percent : null));
    if (motion.on) this.#judge(frame, monoUs);
    else {
      this.#tamper.forget();
      this.#unsay('motion', 'covered');
    }
  }

  /** How loud it is, in dB of full scale. */
  sound(db: number, monoUs: number): void {
    const { eventDb } = this.#deps.settings.now().audio;
    clearTimeout(this.#ears);
    const deafen = () => this.#sound(this.#loudness.stop());
    this.#ears = setTimeout(deafen, LOST_US / 1000).unref();
    this.#sound(
      eventDb === null ? this.#loudness.stop() : this.#loudness.push(db, monoUs, eventDb),
    );
  }

  /** Nothing is captured any more: what has begun ends. */
  stop(): void {
    clearTimeout(this.#eyes);
    clearTimeout(this.#ears);
    this.#blind();
    this.#sound(this.#loudness.stop());
  }

  /** Another picture than before has to be got to know first. */
  #isChanging(monoUs: number): boolean {
    const { video, masks } = this.#deps.settings.now();
    const before = this.#drawn;
    if (video !== before?.video || masks !== before.masks) {
      this.#drawn = { video, masks };
      if (before !== null && !isDeepStrictEqual(pictureOf(before), pictureOf(this.#drawn)))
        this.#changedUs = monoUs;
    }
    if (monoUs - this.#changedUs > CHANGED_US) return false;
    this.#detector.forget();
    this.#tamper.forget();
    this.#end('covered', monoUs);
    return true;
  }

  #stay(monoUs: number): void {
    if (monoUs - this.#lastUs > LOST_US) {
      this.#motion(this.#spell.stop());
      this.#detector.forget();
    }
    this.#lastUs = monoUs;
    clearTimeout(this.#eyes);
    this.#eyes = setTimeout(() => this.#blind(), LOST_US / 1000).unref();
  }

  #motion(turn: Turn | null): void {
    const { settings, roll, onMotion } = this.#deps;
    if (turn?.kind === 'begun') {
      roll.begun(turn.atUs);
      if (settings.now().motion.on) this.#begin('motion', turn.atUs, turn.peak);
      onMotion?.(this.#happenings.get('motion')?.id ?? null);
    } else if (turn?.kind === 'peak') this.#happenings.get('motion')?.peak(Math.ceil(turn.peak));
    else if (turn?.kind === 'ended') {
      roll.ended(turn.atUs);
      this.#end('motion', turn.atUs);
    }
  }

  #sound(turn: Turn | null): void {
    // The louder, the fewer dB below full scale.
    if (turn?.kind === 'begun') this.#begin('sound', turn.atUs, Math.max(0, -turn.peak));
    else if (turn?.kind === 'peak')
      this.#happenings.get('sound')?.peak(Math.max(0, Math.round(-turn.peak)));
    else if (turn?.kind === 'ended') this.#end('sound', turn.atUs);
  }

  #judge(frame: Uint8Array, monoUs: number): void {
    const seen = this.#tamper.push(frame);
    const fromUs = (frames: number) => Math.max(0, monoUs - frames * 200_000);
    if (seen.isCovered) this.#begin('covered', fromUs(seen.coveredFor), 0);
    else this.#end('covered', monoUs);
    if (!seen.isMoved) return;
    this.#begin('moved', fromUs(seen.movedFor), 0);
    this.#end('moved', monoUs);
  }

  #blind(): void {
    this.#motion(this.#spell.stop());
    this.#detector.forget();
    this.#tamper.forget();
    this.#unsay('motion', 'covered');
  }

  #unsay(...kinds: readonly Kind[]): void {
    for (const kind of kinds) this.#end(kind, this.#lastUs);
  }

  #begin(kind: Kind, monoUs: number, peak: number): void {
    if (this.#happenings.has(kind)) return;
    const told = { monoUs, peak: kind === 'sound' ? Math.round(peak) : Math.ceil(peak) };
    this.#happenings.set(kind, this.#deps.events.begin(kind, told));
  }

  #end(kind: Kind, monoUs: number): void {
    this.#happenings.get(kind)?.end(monoUs);
    this.#happenings.delete(kind);
  }
}

/** What of the settings is seen in the picture. */
function pictureOf({ video, masks }: Pick<Values, 'video' | 'masks'>): object {
  const { width, height, rotation, flip, brightness } = video;
  return { width, height, rotation, flip, brightness, masks };
}
