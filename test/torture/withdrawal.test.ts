// Withdrawals at moments of chance: while a camera records, while it is offline with a spool on flash,
// while it catches up, while it or the server is killed. What was captured without consent is never
// stored, and nothing of what was withdrawn is left on the camera once it has obeyed.
// TURNS=N for more, SEED=N to repeat.
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { FILE, PICTURE } from '../e2e/agent.ts';
import { House } from '../e2e/house.ts';
import { eventually, FILE_TIMEOUT_MS } from '../e2e/processes.ts';
import { seeded } from '../seeded.ts';
import type { Evidence } from './audit.ts';
import { WatchedCamera } from './camera.ts';
import { decodingFaults } from './media.ts';
import { printTable } from './table.ts';
import { judgeAll } from './verdict.ts';

const IS_LONG = process.env.TORTURE === '1';
const TURNS = Number(process.env.TURNS ?? (IS_LONG ? 500 : 9));
const CAMERAS = IS_LONG ? 4 : 2;
const FLUSH_AFTER_MS = 300;
const MAY_LOSE_US = 8e6;
const SITUATIONS = ['online', 'offline', 'catching up'] as const;
type Situation = (typeof SITUATIONS)[number];
const KILLS = ['none', 'none', 'agent before', 'agent after', 'server'] as const;
type Kill = (typeof KILLS)[number];
t.setTimeout(FILE_TIMEOUT_MS + TURNS * 20_000);

const random = seeded(t);
const house = await House.open(t);
const cameras: WatchedCamera[] = [];
const counts = new Map<string, number>();
/** What was left on a camera that had obeyed. */
const leftovers: string[] = [];
const evidence: Evidence[] = [];
let turns = 0;
/** One kill of the server at a time. */
let serverKill: Promise<void> | undefined;

function count(what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

function oneOf<T>(choices: readonly T[]): T {
  const one = choices[Math.floor(random() * choices.length)];
  if (one === undefined) throw new Error('nothing to choose from');
  return one;
}

async function killServer(): Promise<void> {
  serverKill ??= (async () => {
    for (const camera of cameras) camera.serverLost();
    await house.server.kill('SIGKILL');
    await house.start();
    serverKill = undefined;
  })();
  await serverKill;
}

async function bringInto(situation: Situation, camera: WatchedCamera): Promise<void> {
  await camera.recordsOn();
  if (situation !== 'online') {
    camera.cut();
    const wanted = 2 + Math.floor(random() * 3);
    await eventually(
      `${wanted} records on flash`,
      () => camera.records().length >= wanted,
      undefined,
      () => camera.agent.tail(),
    );
  }
  if (situation === 'catching up') camera.mend();
  await sleep(random() * 500);
}

/** The press, with what is killed around it; returns its epoch. */
async function press(
  kill: Kill,
  camera: WatchedCamera,
  scopes: readonly string[],
): Promise<number> {
  if (kill === 'agent before') await camera.restart('SIGKILL');
  const [epoch] = await Promise.all([
    camera.withdraw(...scopes),
    ...(kill === 'server' ? [killServer()] : []),
  ]);
  await sleep(random() * 200);
  if (kill === 'agent after') await camera.restart('SIGKILL');
  camera.mend();
  return epoch;
}

async function turn(camera: WatchedCamera): Promise<void> {
  const situation = oneOf(SITUATIONS);
  const kill = oneOf(KILLS);
  const scopes = random() < 0.3 ? ['audio'] : [];
  count(situation);
  count(`kill: ${kill}`);
  count(scopes.length === 0 ? 'everything' : 'audio alone');
  await camera.grant('video', 'audio');
  await bringInto(situation, camera);
  await camera.obeys(await press(kill, camera, scopes));
  const left =
    scopes.length === 0
      ? [...camera.records(), ...camera.keysWith('video')]
      : camera.keysWith('audio');
  leftovers.push(...left.map((name) => `${name}, withdrawn ${situation}, killed: ${kill}`));
}

/** Turns one after another on one camera, until all are done. */
async function turnOn(camera: WatchedCamera): Promise<void> {
  while (turns < TURNS) {
    turns += 1;
    await turn(camera);
  }
}

t.test(`${TURNS} withdrawals on ${CAMERAS} cameras`, async (t) => {
  for (let i = 0; i < CAMERAS; i++) {
    const spool = { flushAfterMs: FLUSH_AFTER_MS };
    const source = i % 2 === 0 ? PICTURE : FILE;
    const options = { source, spool, segment: { durationMs: 500 } };
    const camera = await WatchedCamera.add(t, house, `camera-${i}`, options);
    cameras.push(camera);
    camera.start();
  }
  await Promise.all(cameras.map(turnOn));
  t.strictSame(leftovers, [], 'nothing of what was withdrawn is left on flash');
  for (const camera of cameras) await camera.grant('video', 'audio');
  for (const camera of cameras) await camera.recordsOn();
  for (const camera of cameras) t.equal(await camera.stop('SIGTERM'), 0, 'it stops in order');
  printTable(t, [Object.fromEntries(counts)]);
});

t.test('nothing without consent was stored, nothing acknowledged is missing', async (t) => {
  for (const camera of cameras) evidence.push(await camera.evidence(MAY_LOSE_US));
  judgeAll(t, evidence);
});

t.test('what is stored is whole, and decodes', async (t) => {
  t.match(await house.verify(), { code: 0, faults: { length: 0 } });
  t.equal(await decodingFaults(house, oneOf(cameras).id, true), '');
});
