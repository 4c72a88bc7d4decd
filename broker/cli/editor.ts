// The editor of whoever sits at the terminal. INVARIANT: while it is open the terminal is its own, Ctrl-C
// included.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { LenscapError } from '../../proto/errors.ts';

export class Editor {
  readonly #command: string;
  #isOpen = false;

  /** `command` may have arguments, e.g. `code --wait`. */
  constructor(command: string) {
    this.#command = command;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Resolves when it has ended. @throws REQUEST_INVALID when it ended in failure. */
  async edit(file: string): Promise<void> {
    this.#isOpen = true;
    try {
      const args = ['-c', `${this.#command} "$1"`, 'editor', file];
      const [status] = await once(spawn('/bin/sh', args, { stdio: 'inherit' }), 'close');
      if (status !== 0)
        throw new LenscapError(
          'REQUEST_INVALID',
          `${this.#command} ended with ${status}; nothing has changed`,
        );
    } finally {
      this.#isOpen = false;
    }
  }
}
