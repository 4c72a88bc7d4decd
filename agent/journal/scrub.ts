// Makes a text of the log fit to leave the device. It goes by what may pass, not by what may not: plain
// words, small numbers, names of our own codes. Whatever has another shape (addresses, paths, keys,
// serial numbers, names of hosts) is hidden without asking what it is.
// INVARIANT: no control or direction character, and nothing in quotation marks, is in what comes out.
import { constants } from 'node:os';
import { ERRORS } from '../../proto/errors.ts';
import { HIDDEN, type Secrets } from './secrets.ts';

const MAX_TEXT = 500;
/** More is not even looked at. */
const MAX_JUDGED = 4096;
const MAX_KEPT = 500;

const NAMES: ReadonlySet<string> = new Set([
  ...Object.keys(ERRORS),
  ...Object.keys(constants.errno),
  ...Object.keys(constants.signals),
  ...['TLS', 'MQTT', 'RTSP', 'RTP', 'TCP', 'UDP', 'HTTP', 'DNS', 'GStreamer', 'GPIO', 'LED', 'USB'],
  ...['CPU', 'CSI', 'CA', 'CSR', 'OK', 'IO', 'JSON', 'JPEG', 'MJPEG', 'AAC', 'AVC', 'PTS', 'DTS'],
  ...['H.264', 'h264', 'fMP4', 'MP4', 'PUBACK', 'QR', 'ENOSPC', 'WAL', 'I/O', 'DST', 'UTC', 'IPC'],
  ...['GLib', 'GObject', 'GST', 'Node', 'OOM', 'SIGSEGV', 'SIGABRT', 'null', 'NULL', 'NaN'],
]);
/** Elements of a pipeline, each with the number that GStreamer gives it. */
const ELEMENT =
  /^(?:v4l2src|v4l2h264enc|rtspsrc|libcamerasrc|filesrc|videotestsrc|audiotestsrc|alsasrc|pulsesrc|x264enc|openh264enc|vah264enc|v4l2convert|videoconvert|videoscale|videorate|videoflip|h264parse|aacparse|fdkaacenc|avenc_aac|voaacenc|mp4mux|isofmp4mux|decodebin|parsebin|jpegdec|jpegenc|avdec_h264|appsink|fdsink|multiqueue|queue|tee|capsfilter|level|volume|identity|rtph264depay|rtpmp4gdepay)\d{0,3}$/;
const WORD = /^[A-Za-z]?[a-z]{0,15}(?:['’][a-z]{1,2})?$/;
const JOINED = /^[A-Za-z]?[a-z]{1,11}(?:-[a-z]{1,12}){1,2}$/;
const NO_WORD = /^[a-f]{6,}$|^[^aeiouyAEIOUY]{6,}$/;
const NUMBER =
  /^[-+]?\d{1,6}(?:[.,]\d{1,3})?(?:%|ms|s|us|min|h|d|fps|k?Hz|[kK]bps|[KMG]iB|[kMG]?B|px)?$/;
const SIZE = /^\d{1,4}x\d{1,4}$/;
const SIGNS = /^[-–—…|+*=<>&%/.:]{1,3}$/;
const ESCAPE = /^\\(?:x[0-9a-f]{2}|u\{[0-9a-f]+\})$/;

const PEM = /-----BEGIN [\s\S]*?(?:-----END [^-]*-----|$)/g;
const QUOTED = /"[^"]*(?:"|$)|`[^`]*(?:`|$)|(?<![A-Za-z0-9])'[^']*(?:'|$)|[“«][^”»]*(?:[”»]|$)/g;
/** Setup codes and their like: groups of five, as people type them. */
const CODE_GROUPS = /\b(?:[0-9A-Za-z]{4,5}[- ]){3,}[0-9A-Za-z]{1,5}\b/g;
const SECRET_WORD =
  '(?:[\\w-]*(?:passw(?:or)?d|passphrase|passcode|pwd|token|secret|psk|ssid|credentials?|bearer|authorization)s?|(?:\\w+[_-])?(?:pass|keys?|pin|user|username|login|serial|code)(?:[_-]\\w+)?)';
const ASSIGNED = new RegExp(`\\b(${SECRET_WORD})(\\s*[:=]+\\s*)[^,;\\n]+`, 'gi');
const SPOKEN =
  /\b([\w-]*(?:passw(?:or)?d|passphrase|passcode|pwd|token|secret|psk|ssid|bearer|pin|keys?|serial)s?(?:\s+(?:is|was|of|for|number))?\s+)(?!\[hidden\])(\S+)/gi;
/** What may well follow such a word without being one. */
const HARMLESS = new Set(
  'a an and are at be been before by can cannot could file files for from had has have in into is it its may must no not of on or pair that the there this to under was were which will with without wrong missing refused damaged valid invalid needed absent'.split(
    ' ',
  ),
);
const MARGINS = /^([([{<]*)(.*?)([)\]}>,;!?]*[.:…]?[)\]}]*)$/s;
const HIDDEN_RUN = /\[hidden\](?:[\s,;:.=/@-]*\[hidden\])+/g;

/** Control and direction characters as text, e.g. `\x1b`. */
export function harmless(text: string): string {
  return text.replace(/\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}|\p{Cs}/gu, escaped);
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  const digits = code.toString(16);
  return code < 0x100 ? `\\x${digits.padStart(2, '0')}` : `\\u{${digits}}`;
}

/** Scrubs texts, and keeps what it made of the last few: most are the same ones again. */
export class Scrubber {
  readonly #secrets: Secrets;
  readonly #kept = new Map<string, string>();
  #version = 0;

  constructor(secrets: Secrets) {
    this.#secrets = secrets;
  }

  /** Never throws. */
  scrub(text: string): string {
    if (this.#version !== this.#secrets.version || this.#kept.size > MAX_KEPT) this.#kept.clear();
    this.#version = this.#secrets.version;
    const kept = this.#kept.get(text);
    if (kept !== undefined) return kept;
    const scrubbed = scrubbedBy(text, this.#secrets);
    if (text.length <= MAX_TEXT) this.#kept.set(text, scrubbed);
    return scrubbed;
  }
}

function scrubbedBy(text: string, secrets: Secrets): string {
  const judged = bounded(secrets.hide(text))
    .replace(PEM, HIDDEN)
    .replace(QUOTED, HIDDEN)
    .replace(CODE_GROUPS, withoutCode)
    .replace(ASSIGNED, `$1$2${HIDDEN}`)
    .replace(SPOKEN, (whole, before: string, word: string) =>
      HARMLESS.has(word.toLowerCase().replace(/[.,;:!?]+$/, '')) ? whole : before + HIDDEN,
    );
  const scrubbed = judged
    .replace(/[\t\n\r ]+/g, ' ')
    .split(/( |\[hidden\]|\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}|\p{Cs})/u)
    .map(passed)
    .join('')
    .replace(HIDDEN_RUN, HIDDEN)
    .trim();
  return scrubbed.length <= MAX_TEXT ? scrubbed : `${scrubbed.slice(0, MAX_TEXT - 1)}…`;
}

/** Four words of five letters in a row are no code, but cost less than one that is overlooked. */
function withoutCode(found: string): string {
  const isProse = /^[A-Za-z]?[a-z]+(?: [a-z]+)+$/.test(found) && /[aeiou]/.test(found);
  return isProse && found.split(' ').every((word) => /[aeiou]/i.test(word)) ? found : HIDDEN;
}

/** Cut where a word ends, since half of something is not known for what it is. */
function bounded(text: string): string {
  if (text.length <= MAX_JUDGED) return text;
  const cut = text.slice(0, MAX_JUDGED);
  return `${cut.slice(0, Math.max(0, cut.search(/\s\S*$/)))} …`;
}

function passed(token: string): string {
  if (token === ' ' || token === '') return token;
  const shown = harmless(token);
  if (ESCAPE.test(shown)) return shown;
  if (token === HIDDEN) return token;
  const [, before = '', core = '', after = ''] = MARGINS.exec(token) ?? ['', '', token, ''];
  if (mayPass(core)) return token;
  return `${before.includes('(') ? '(' : ''}${HIDDEN}${after.replace(/[^)\]}>,;!?.:]/g, '')}`;
}

function mayPass(core: string): boolean {
  if (core === '' || core === HIDDEN || NAMES.has(core)) return true;
  if (NUMBER.test(core) || SIZE.test(core) || SIGNS.test(core) || ELEMENT.test(core)) return true;
  return (WORD.test(core) || JOINED.test(core)) && !NO_WORD.test(core);
}
