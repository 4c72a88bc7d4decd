// Makes a text of the log fit to leave the device. It goes by what may pass, not by what may not: words
// of the vocabulary, small numbers, names of our own codes. Whatever else there is (addresses, paths,
// keys, names of people, hosts and networks) is hidden without asking what it is.
// INVARIANTS: no control or direction character, and nothing in quotation marks, is in what comes out;
// the time it takes grows with the length of the text, whatever is in it.
import { constants } from 'node:os';
import { ERRORS } from '../../proto/errors.ts';
import { harmless } from '../../proto/harmless.ts';
import { HIDDEN, type Secrets } from './secrets.ts';
import { isJoined, isWord } from './words.ts';

const MAX_TEXT = 500;
/** More is not even looked at. */
const MAX_JUDGED = 4096;
const MAX_KEPT = 500;

const NAMES: ReadonlySet<string> = new Set([
  ...Object.keys(ERRORS),
  ...Object.keys(constants.errno),
  ...Object.keys(constants.signals),
  ...['ENOTFOUND', 'EAI_AGAIN', 'EOF'],
  ...['TLS', 'MQTT', 'RTSP', 'RTP', 'TCP', 'UDP', 'HTTP', 'DNS', 'GStreamer', 'GPIO', 'LED', 'USB'],
  ...[
    'SHA-256',
    'CPU',
    'CSI',
    'CA',
    'CSR',
    'OK',
    'IO',
    'JSON',
    'JPEG',
    'MJPEG',
    'AAC',
    'AVC',
    'PTS',
    'DTS',
  ],
  ...['H.264', 'h264', 'fMP4', 'MP4', 'PUBACK', 'QR', 'ENOSPC', 'WAL', 'I/O', 'DST', 'UTC', 'IPC'],
  ...['GLib', 'GObject', 'GST', 'Node', 'OOM', 'SIGSEGV', 'SIGABRT', 'null', 'NULL', 'NaN'],
]);
/** Elements of a pipeline, each with the number that GStreamer gives it. */
const ELEMENT =
  /^(?:v4l2src|v4l2h264enc|rtspsrc|libcamerasrc|filesrc|videotestsrc|audiotestsrc|alsasrc|pulsesrc|x264enc|openh264enc|vah264enc|v4l2convert|videoconvert|videoscale|videorate|videoflip|h264parse|aacparse|fdkaacenc|avenc_aac|voaacenc|mp4mux|isofmp4mux|decodebin|parsebin|jpegdec|jpegenc|avdec_h264|appsink|fdsink|multiqueue|queue|tee|capsfilter|level|volume|identity|rtph264depay|rtpmp4gdepay)\d{0,3}$/;
/** Longer ones only with a unit: without, it may be the number of anything. */
const NUMBER =
  /^[-+]?(?:\d{1,4}(?:[.,]\d{1,3})?|\d{1,6}(?:[.,]\d{1,3})?(?:%|ms|s|us|min|h|d|fps|k?Hz|[kK]bps|[KMG]iB|[kMG]?B|px))$/;
const SIZE = /^\d{1,4}x\d{1,4}$/;
const SIGNS = /^[-–—…|+*=<>&%/.:]{1,3}$/;
const ESCAPE = /^\\(?:x[0-9a-f]{2}|u\{[0-9a-f]+\})$/;

const QUOTED = /"[^"]*(?:"|$)|`[^`]*(?:`|$)|(?<![A-Za-z0-9])'[^']*(?:'|$)|[“«][^”»]*(?:[”»]|$)/g;
/** Setup codes and their like: groups of five, as people type them. */
const CODE_GROUPS = /\b(?:[0-9A-Za-z]{4,5}[- ]){3,}[0-9A-Za-z]{1,5}\b/g;
/** Bytes as programs print them, numbers of telephones and cards: three or more short ones in a row. */
const NUMBER_ROW =
  /(?<![\w.])(?:0x)?[0-9a-f]{1,4}(?:[\s,;:/-]{1,3}(?:0x)?[0-9a-f]{1,4}){2,}(?![\w.])/gi;
const TELLING =
  '(?:passw(?:or)?d|passphrase|passcode|pwd|token|secret|psk|ssid|credential|bearer|authorization)s?';
const KEYED =
  '\\b(?:\\w{1,24}[_-])?(?:pass|keys?|pin|user|username|login|serial|code)(?:[_-]\\w{1,24})?';
const ASSIGNED = new RegExp(`((?:${TELLING}|${KEYED})\\s{0,4}[:=]+\\s*)[^,;\\n]+`, 'gi');
const SPOKEN = new RegExp(
  `((?:${TELLING}|\\b(?:pin|keys?|serial|code))(?:\\s+(?:is|was|of|for|number))?\\s+)(?!\\[hidden\\])(\\S+)`,
  'gi',
);
/** What may well follow such a word without being one. */
const HARMLESS = new Set(
  'a an and are at be been before by can cannot could file files for from had has have in into is it its may must no not of on or pair that the there this to tried under used was were which will with without wrong missing refused damaged valid invalid needed absent'.split(
    ' ',
  ),
);
const OPENING = '([{<';
const CLOSING = ')]}>,;!?.:…';
const HIDDEN_RUN = /\[hidden\](?:[\s,;:.=/@-]*\[hidden\])+/g;

/** Codes of our own, of the system, of Node: `STORE_FULL`, `EACCES`, `ERR_INVALID_ARG_TYPE`. */
export function isCode(text: string): boolean {
  const isJoinedUp = text.startsWith('ERR_') && text === text.toUpperCase();
  return NAMES.has(text) || (isJoinedUp && isJoined(text.toLowerCase(), '_'));
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
    .replace(QUOTED, HIDDEN)
    .replace(CODE_GROUPS, withoutCode)
    .replace(NUMBER_ROW, (row) => (/\d/.test(row) ? HIDDEN : row))
    .replace(ASSIGNED, `$1${HIDDEN}`)
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

/** Words of four or five letters in a row may well be words. */
function withoutCode(found: string): string {
  return found.split(' ').every(isWord) ? found : HIDDEN;
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
  const { before, core, after } = bare(token);
  if (mayPass(core)) return token;
  return `${before.includes('(') ? '(' : ''}${HIDDEN}${after.replace('…', '')}`;
}

/** A word without the signs before and behind it. */
function bare(token: string): { before: string; core: string; after: string } {
  let [start, end] = [0, token.length];
  while (start < end && OPENING.includes(token.charAt(start))) start += 1;
  while (end > start && CLOSING.includes(token.charAt(end - 1))) end -= 1;
  return { before: token.slice(0, start), core: token.slice(start, end), after: token.slice(end) };
}

function mayPass(core: string): boolean {
  if (core === '' || core === HIDDEN || isWord(core) || isCode(core)) return true;
  if (NUMBER.test(core) || SIZE.test(core) || SIGNS.test(core) || ELEMENT.test(core)) return true;
  return isJoined(core, /[-/]/);
}
