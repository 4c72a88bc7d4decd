// From levels of sound to whether it is loud. Pure.
import { Spell, type Turn } from './spell.ts';

/** It is quiet again only so much below the level, so that it does not flicker around it. */
const RELEASE_DB = 3;
const QUIET_US = 2_000_000;

export class Loudness {
  readonly #spell = new Spell({ signs: 1, within: 1, quietUs: QUIET_US });

  /** A level in dB of full scale, against the one that is an event. */
  push(db: number, atUs: number, eventDb: number): Turn | null {
    const leastDb = this.#spell.lasts ? eventDb - RELEASE_DB : eventDb;
    return this.#spell.look(atUs, db >= leastDb ? db : null);
  }

  /** There is nothing to listen to. */
  stop(): Turn | null {
    return this.#spell.stop();
  }
}
