// Clips of what people hold before a camera, and a lens that looks at them.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import QRCode from 'qrcode';
import type { ScanConfig } from '../../../agent/capture/scan.ts';
import { Lens, type LensDeps } from '../../../agent/claim/lens.ts';
import type { Answer } from '../../../agent/claim/source.ts';
import type { SourceConfig } from '../../../proto/agent-config.ts';
import { encodeSetupCode } from '../../../proto/setup-code.ts';
import { captureConfig, type Overrides } from '../capture/harness.ts';

const run = promisify(execFile);
const DEADLINE_MS = 30_000;

/** A setup code as an owner would get it. */
export function newCode(host = 'cloud.example.org'): string {
  const [caFingerprint, secret] = [randomBytes(16), randomBytes(16)];
  return encodeSetupCode({ host, port: 8883, caFingerprint, secret });
}

/** A second in which QR codes of `texts` are seen side by side, changed by an ffmpeg filter. */
export async function clip(
  dir: string,
  texts: readonly string[],
  { name = 'shown', filter = 'null', size = '1280x720' } = {},
): Promise<string> {
  const [width, height] = size.split('x');
  const pictures = await Promise.all(
    texts.map(async (text, at) => {
      const path = join(dir, `${name}-${at}.png`);
      await QRCode.toFile(path, text, { width: 270, margin: 4 });
      return path;
    }),
  );
  const inputs = pictures.flatMap((path) => ['-loop', '1', '-i', path]);
  const beside = pictures.length > 1 ? `hstack=inputs=${pictures.length},` : '';
  const frame = `${beside}${filter},pad=${width}:${height}:(ow-iw)/2:(oh-ih)/2:gray`;
  const path = join(dir, `${name}.mp4`);
  await run('ffmpeg', [
    ...['-v', 'error', '-y', ...inputs, '-filter_complex', frame, '-r', '10', '-t', '1'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', path],
  ]);
  return path;
}

export interface Watching {
  readonly offers: { readonly code: string; readonly from: string; readonly atMs: number }[];
  readonly ended: Promise<void>;
  /** All that was logged. */
  log(): string;
  /** The light has failed. */
  closeInTheDark(): void;
  stop(): Promise<void>;
  /** Resolves when it holds; rejects after a deadline. */
  until(what: string, holds: () => boolean): Promise<void>;
  says(pattern: RegExp): Promise<void>;
}

const NONE = { show: () => Promise.resolve() };

export type Reply = (code: string, count: number) => Answer | Promise<Answer>;

/** A lens that looks at a source. */
export function look(
  source: SourceConfig,
  reply: Reply,
  more: {
    readonly over?: Overrides;
    readonly childEnv?: Readonly<Record<string, string>>;
    /** Absent: a board without one. */
    readonly light?: LensDeps['light'];
  } = {},
): Watching {
  const config: ScanConfig = captureConfig(source, {
    ...more.over,
    video: { width: 1280, height: 720, ...more.over?.video },
  });
  let text = '';
  const write = (line: string): void => {
    text += line;
  };
  const log = pino({ level: 'debug' }, { write });
  const lens = new Lens({ config, log, light: more.light ?? NONE, childEnv: more.childEnv ?? {} });
  const stop = new AbortController();
  const offers: { code: string; from: string; atMs: number }[] = [];
  const ended = lens.run(async (code, from) => {
    offers.push({ code, from, atMs: performance.now() });
    return reply(code, offers.length);
  }, stop.signal);
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    const endMs = performance.now() + DEADLINE_MS;
    while (!holds()) {
      if (performance.now() > endMs)
        throw new Error(`waited in vain for: ${what}\n${text.slice(-600)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  return {
    offers,
    ended,
    log: () => text,
    closeInTheDark: () => lens.closeInTheDark(),
    until,
    says: (pattern) => until(String(pattern), () => pattern.test(text)),
    stop: () => {
      stop.abort();
      return ended;
    },
  };
}
