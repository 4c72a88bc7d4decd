// What a line of the log costs the device, and whether a planted secret leaves it.
import { join } from 'node:path';
import type { Logger } from 'pino';
import { Journal } from '../../agent/journal/journal.ts';
import { makeLog } from '../../agent/journal/logger.ts';
import { Secrets } from '../../agent/journal/secrets.ts';
import { PLACES, secretsBy } from '../agent/journal/planted.ts';
import { absolute, type Bench, type Figure } from './figures.ts';

const ROUNDS = 5;
const LINES = 20_000;
const MAX_LINE_US = 50;
const SECRET_ROUNDS = 200;
const NOWHERE = { write: () => undefined };

export async function logFigures(bench: Bench): Promise<Figure[]> {
  const rounds = bench.isQuick ? 2 : ROUNDS;
  const bare = makeLog('info', null, NOWHERE).log;
  const journal = openJournal(join(bench.folder, 'journal'));
  const noted = makeLog('info', journal, NOWHERE).log;
  const extra: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const [without, withJournal] = [lineUs(bare, round), lineUs(noted, round)];
    bench.print(
      `   ${withJournal.toFixed(1)} us with the journal, ${without.toFixed(1)} us without`,
    );
    extra.push(withJournal - without);
  }
  const median =
    extra.sort((one, other) => one - other)[Math.floor(extra.length / 2)] ?? Number.NaN;
  return [
    absolute('a log line, what the journal adds', 'us', median, MAX_LINE_US),
    absolute('planted secrets found in the log', 'found', missed(bench), 0),
  ];
}

function openJournal(folder: string): Journal {
  const journal = new Journal({
    folder,
    secrets: new Secrets(),
    settings: () => ({ level: 'info', maxBytes: 4 << 20, linesPerMinute: 1e9 }),
    nowMs: () => performance.now(),
  });
  const gate = { grantOf: () => ({ epoch: 1, since: 1 }), mayKeep: () => true };
  journal.attach({ deviceId: 'cam-aaaaaaaaaaaaaaaa', gate });
  return journal;
}

/** Microseconds of the processor for each line, all threads: others on the machine do not count. */
function lineUs(log: Logger, round: number): number {
  const part = log.child({ part: 'uplink', deviceId: 'cam-aaaaaaaaaaaaaaaa' });
  const start = process.cpuUsage();
  for (let line = 0; line < LINES; line++)
    part.info(
      { code: 'UPLINK_LOST', bytes: line, items: 3, path: '/dev/video0' },
      line % 4 === 0 ? `attempt ${round * LINES + line} was not answered` : 'the lens cap is off',
    );
  const { user, system } = process.cpuUsage(start);
  return (user + system) / LINES;
}

/** How many of the planted secrets can be read in what would be sent. */
function missed(bench: Bench): number {
  const journal = openJournal(join(bench.folder, 'planted'));
  const { log } = makeLog('trace', journal, NOWHERE);
  const planted: string[] = [];
  for (let round = 0; round < (bench.isQuick ? 20 : SECRET_ROUNDS); round++)
    for (const { text, parts } of secretsBy(bench.random)) {
      planted.push(...parts);
      PLACES[Math.floor(bench.random() * PLACES.length)]?.(log, text);
    }
  const sent: string[] = [];
  for (let bundle = journal.next(() => true); bundle !== null; bundle = journal.next(() => true)) {
    sent.push(...bundle.entries.map(({ line }) => line));
    journal.sent(bundle.last);
  }
  const all = sent.join('\n');
  bench.print(`   ${planted.length} secrets planted in ${sent.length} lines`);
  return planted.filter((secret) => all.includes(secret)).length;
}
