// Secrets of every kind, made by chance, and the places of a log line in which they may turn up.
import { inspect } from 'node:util';
import type { Logger } from 'pino';
import { encodeSetupCode } from '../../../proto/setup-code.ts';

export interface Planted {
  readonly text: string;
  /** What may not be found again. */
  readonly parts: readonly string[];
}

/** One secret after another, of every kind there is. */
export function secretsBy(random: () => number): Planted[] {
  const pick = (alphabet: string, count: number): string =>
    Array.from({ length: count }, () => alphabet[Math.floor(random() * alphabet.length)]).join('');
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  const mixed = `${letters}${letters.toUpperCase()}0123456789`;
  const password = `${pick(mixed, 7)}${pick('0123456789!$%', 2)}`;
  const word = pick(letters, 9);
  const bytes = Buffer.from(pick(mixed, 24));
  const host = `${pick(letters, 8)}.${pick(letters, 6)}.example`;
  const octet = () => Math.floor(random() * 256);
  const ip = [10, octet(), octet(), octet()].join('.');
  const mac = [0, 0, 0, 0, 0, 0].map(() => pick('0123456789abcdef', 2)).join(':');
  const body = [pick(mixed, 64), pick(mixed, 64)];
  const setup = encodeSetupCode({
    host,
    port: 8883,
    caFingerprint: Buffer.from(pick(mixed, 16)),
    secret: Buffer.from(pick(mixed, 16)),
  });
  const groups = setup.split('-');
  const digits = pick('0123456789', 6);
  const plain = (text: string): Planted => ({ text, parts: [text] });
  return [
    plain(password),
    { text: `password=${word} tail`, parts: [word] },
    { text: `the token ${word}`, parts: [word] },
    plain(bytes.toString('hex')),
    plain(bytes.toString('base64')),
    {
      text: `-----BEGIN PRIVATE KEY-----\n${body.join('\n')}\n-----END PRIVATE KEY-----`,
      parts: body,
    },
    {
      text: `rtsp://admin:${password}@${host}:554/live?token=${bytes.toString('hex')}`,
      parts: [password, host, bytes.toString('hex')],
    },
    { text: setup, parts: [setup, groups.slice(0, 3).join('-')] },
    { text: groups.join(' ').toLowerCase(), parts: [groups.slice(0, 3).join(' ').toLowerCase()] },
    plain(`${pick(letters, 6)}@${host}`),
    plain(ip),
    plain(mac),
    plain(`fe80::${pick('0123456789abcdef', 4)}:${pick('0123456789abcdef', 4)}`),
    plain(host),
    plain(word),
    { text: `the login code ${digits}`, parts: [digits] },
    { text: inspect(Buffer.from(word)), parts: [Buffer.from(word).toString('hex', 0, 3)] },
    {
      text: inspect(new Uint8Array(Buffer.from(word))),
      parts: [[...Buffer.from(word)].join(', ')],
    },
    {
      text: `RTSPS://Admin:${encodeURIComponent(`${password}ü/`)}@[fd00::${pick('123456789', 4)}]:554/`,
      parts: [encodeURIComponent(`${password}ü/`), 'fd00::'],
    },
    { text: `{"pin": "${digits}", "psk": ${word}}`, parts: [digits, word] },
    { text: `${'it is '.repeat(900)}${password}`, parts: [password] },
    plain(`/home/${pick(letters, 6)}/${pick(letters, 5)}.json`),
    plain(`SN${pick('0123456789', 8)}`),
    plain(`${pick(letters.toUpperCase(), 4)}-${pick('0123456789', 6)}`),
  ];
}

/** Where a secret may turn up in a line. */
export const PLACES: readonly ((log: Logger, secret: string) => void)[] = [
  (log, secret) => log.info(`it said ${secret} and went on`),
  (log, secret) => log.info({ path: secret, url: secret, wifi: { psk: secret } }, 'configured'),
  (log, secret) => log.warn({ detail: `because of ${secret}`, reason: secret, cause: secret }, 'x'),
  (log, secret) => log.debug({ line: secret, element: secret, debug: `a ${secret} b` }, 'child'),
  (log, secret) => log.warn({ err: new Error(`cannot open ${secret}: no`) }, 'failed'),
  (log, secret) => log.warn({ err: new Error('x', { cause: new Error(secret) }) }, 'failed'),
  (log, secret) => {
    const error = new Error(secret);
    error.stack = `Error: ${secret}\n    at ${secret} (/x/agent/${secret}.ts:1:1)\n    at x (${secret}:1:1)`;
    error.name = secret;
    log.warn({ err: Object.assign(error, { code: secret, password: secret }) }, 'failed');
  },
  (log, secret) => log.child({ part: secret, deviceId: secret, version: secret }).info('bound'),
  (log, secret) =>
    log.info({ code: secret, bytes: secret, cap: secret, scopes: [secret] }, 'kinds'),
  (log, secret) => log.info({ [secret]: { deep: [[secret]] }, state: secret, [Symbol(secret)]: 1 }),
  (log, secret) =>
    log.warn({ err: new AggregateError([new Error(secret)], secret), source: secret }, secret),
  (log, secret) => {
    class OfACamera extends TypeError {
      readonly url = secret;
      readonly body = Buffer.from(secret);
      toJSON = () => ({ type: secret, message: secret, stack: secret });
    }
    log.error(new OfACamera(`it said ${secret}`));
  },
  (log, secret) => {
    const round: Record<string, unknown> = { toJSON: () => secret, part: secret };
    round.self = round;
    log.warn({ err: round, detail: round, why: [secret], streamId: secret, batchId: secret });
  },
  (log, secret) => {
    const thrown = Object.defineProperty(new Error(secret), 'detail', {
      enumerable: true,
      get: () => {
        throw new Error(secret);
      },
    });
    log.error({ err: thrown, signal: secret, noun: secret, lane: secret }, 'it ends');
  },
];
