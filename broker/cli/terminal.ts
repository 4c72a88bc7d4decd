// The terminal as commands see it: plain lines, questions, no colours. Nothing is asked where nobody
// can answer.
import { createInterface } from 'node:readline/promises';
import { text } from 'node:stream/consumers';
import type { ReadStream, WriteStream } from 'node:tty';
import { LenscapError } from '../../proto/errors.ts';
import { harmlessJson } from '../../proto/harmless.ts';

export interface TerminalDeps {
  readonly stdin: NodeJS.ReadableStream & Partial<Pick<ReadStream, 'isTTY' | 'setRawMode'>>;
  readonly stdout: NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY'>>;
  readonly stderr: NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY'>>;
}

const CTRL_C = '\u0003';
/** Return, newline, Ctrl-D. */
const ENDS = '\r\n\u0004';
/** Backspace, delete. */
const ERASES = '\b\u007f';

export class Terminal {
  readonly #deps: TerminalDeps;

  constructor(deps: TerminalDeps) {
    this.#deps = deps;
  }

  /** Whether somebody can be asked. */
  get isInteractive(): boolean {
    return this.#deps.stdin.isTTY === true && this.#deps.stderr.isTTY === true;
  }

  /** One line of the result. */
  print(line = ''): void {
    this.#deps.stdout.write(`${printable(line)}\n`);
  }

  /**
   * A picture of blocks whose lit parts are the blocks. On a terminal it is white on black whatever
   * the theme, since readers of codes do not take inverted ones; elsewhere it is ink on paper.
   */
  picture({ lit, ink }: { readonly lit: string; readonly ink: string }): void {
    if (this.#deps.stdout.isTTY)
      for (const line of lit.split('\n'))
        this.#deps.stdout.write(`\u001b[97;40m${line}\u001b[0m\n`);
    else this.print(ink);
  }

  json(value: unknown): void {
    this.#deps.stdout.write(`${harmlessJson(JSON.stringify(value, null, 2))}\n`);
  }

  /** One line beside the result. */
  note(line: string): void {
    this.#deps.stderr.write(`${printable(line)}\n`);
  }

  /** Overwrites its own line; only on a terminal. */
  progress(line: string): void {
    if (this.#deps.stderr.isTTY) this.#deps.stderr.write(`\r${printable(line).padEnd(70)}`);
  }

  endProgress(): void {
    if (this.#deps.stderr.isTTY) this.#deps.stderr.write('\n');
  }

  /** Columns of equal width, the first row as their heads. */
  table(rows: readonly (readonly string[])[]): void {
    const widths = (rows[0] ?? []).map((_, column) =>
      Math.max(...rows.map((row) => printable(row[column] ?? '').length)),
    );
    for (const row of rows)
      this.print(
        row
          .map((cell, column) => printable(cell).padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd(),
      );
  }

  /** Everything on standard input. */
  readAll(): Promise<string> {
    return text(this.#deps.stdin);
  }

  async question(prompt: string): Promise<string> {
    const asked = createInterface({ input: this.#deps.stdin, output: this.#deps.stderr });
    const abort = new AbortController();
    asked.once('SIGINT', () => abort.abort(givenUp()));
    asked.once('close', () => abort.abort(givenUp()));
    try {
      return (await asked.question(printable(prompt), { signal: abort.signal })).trim();
    } catch (error) {
      throw abort.signal.aborted ? givenUp() : error;
    } finally {
      asked.close();
    }
  }

  /** Asks without showing what is typed. */
  async secret(prompt: string): Promise<string> {
    const { stdin, stderr } = this.#deps;
    if (!this.isInteractive || !stdin.setRawMode)
      throw new LenscapError('REQUEST_INVALID', 'give the password with --password-file FILE or -');
    // Echo ends before the question is seen, so that nothing typed at once is shown.
    stdin.setRawMode(true);
    stderr.write(printable(prompt));
    try {
      return await typedLine(stdin);
    } finally {
      stdin.setRawMode(false);
      stderr.write('\n');
    }
  }
}

async function typedLine(stdin: AsyncIterable<unknown>): Promise<string> {
  let typed = '';
  for await (const chunk of stdin)
    for (const character of String(chunk)) {
      if (character === CTRL_C) throw givenUp();
      if (ENDS.includes(character)) return typed;
      typed = ERASES.includes(character) ? typed.slice(0, -1) : typed + character;
    }
  return typed;
}

function givenUp(): LenscapError {
  return new LenscapError('REQUEST_INVALID', 'given up; nothing has changed');
}

/** Names come from elsewhere: no control character of theirs reaches the terminal. */
function printable(line: string): string {
  return line.replace(/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}|\p{Cs}/gu, (character) =>
    character === '\n' ? '\n' : '\uFFFD',
  );
}
