// What the child writes to standard error: its first lines for developers, its last ones for whoever
// asks why it died. INVARIANTS: a line is looked at whole, so that no secret is cut in two and shown by
// halves; what is held and what is logged is bounded, and what is left out is counted.
import type { Logger } from 'pino';
import { redact } from './faults.ts';

const MAX_LINE = 4096;
const MAX_SHOWN = 200;
/** Noted as they come, at debug. */
const MAX_FIRST_LINES = 20;
/** Of a crash the end matters most. */
const MAX_LAST_LINES = 10;

export interface LastWordsDeps {
  readonly log: Logger;
  /** Never to be shown. */
  readonly secrets: () => readonly string[];
}

export class LastWords {
  readonly #deps: LastWordsDeps;
  #unfinished = '';
  #isTooLong = false;
  #lines = 0;
  #last: string[] = [];

  constructor(deps: LastWordsDeps) {
    this.#deps = deps;
  }

  /** Text as it comes, cut anywhere. */
  push(text: string): void {
    const [first = '', ...rest] = text.split('\n');
    this.#continue(first);
    for (const line of rest) {
      this.#finish();
      this.#continue(line);
    }
  }

  /** The child died and nothing more comes: its last lines at warn. */
  tell(): void {
    this.#finish();
    const { log } = this.#deps;
    const droppedLines = this.#lines - this.#last.length;
    for (const line of this.#last.splice(0)) log.warn({ line }, 'last words of the capture child');
    if (droppedLines > 0) log.warn({ droppedLines }, 'it had said more before');
  }

  #continue(text: string): void {
    this.#unfinished += text;
    this.#isTooLong ||= this.#unfinished.length > MAX_LINE;
    // Half of something is not known for what it is.
    if (this.#isTooLong) this.#unfinished = '';
  }

  #finish(): void {
    const whole = this.#isTooLong ? '(a line that is too long)' : this.#unfinished;
    this.#unfinished = '';
    this.#isTooLong = false;
    if (whole.trim() === '') return;
    const { log, secrets } = this.#deps;
    const line = redact(whole, secrets()).slice(0, MAX_SHOWN);
    this.#lines += 1;
    this.#last = [...this.#last, line].slice(-MAX_LAST_LINES);
    if (this.#lines <= MAX_FIRST_LINES) log.debug({ line }, 'capture child');
  }
}
