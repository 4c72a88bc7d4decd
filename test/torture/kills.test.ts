// SIGKILL of server, agents and capture processes at moments of chance, in one run, while cameras
// record and devices send, and their owner withdraws and consents: the audit of each camera holds.
// KILLS=N for more, SEED=N to repeat.
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { FILE, PICTURE } from '../e2e/agent.ts';
import { House } from '../e2e/house.ts';
import { eventually, FILE_TIMEOUT_MS, isAlive } from '../e2e/processes.ts';
import { seeded } from '../seeded.ts';
import type { Evidence } from './audit.ts';
import { WatchedCamera } from './camera.ts';
import { decodingFaults } from './media.ts';
import { Sender } from './sender.ts';
import { printTable } from './table.ts';
import { judgeAll } from './verdict.ts';

const IS_LONG = process.env.TORTURE === '1';
const KILLS = Number(process.env.KILLS ?? (IS_LONG ? 200 : 12));
const CAMERAS = IS_LONG ? 5 : 2;
const SENDERS = IS_LONG ? 2 : 1;
const LONGEST_PAUSE_MS = IS_LONG ? 1500 : 600;
const FLUSH_AFTER_MS = 1000;
/** The promise for a power cut in the default mode. */
const MAY_LOSE_US = 8e6;
t.setTimeout(FILE_TIMEOUT_MS + KILLS * 20_000);

const random = seeded(t);
const house = await House.open(t);
const cameras: WatchedCamera[] = [];
const senders: Sender[] = [];
/** Of what the senders know, after each restart of the server. */
const senderFaults: string[] = [];
let serverBack: Promise<void> = Promise.resolve();
const counts = { server: 0, agent: 0, capture: 0, all: 0, withdrawals: 0 };

function oneOf<T>(choices: readonly T[]): T {
  const one = choices[Math.floor(random() * choices.length)];
  if (one === undefined) throw new Error('nothing to choose from');
  return one;
}

/** The others are not waited for: who is killed next may find no server. */
async function killServer(): Promise<void> {
  await serverBack;
  counts.server += 1;
  for (const camera of cameras) camera.serverLost();
  await house.server.kill('SIGKILL');
  serverBack = startServer();
}

async function startServer(): Promise<void> {
  await sleep(random() * 300);
  await house.start();
  for (const sender of senders) senderFaults.push(...(await sender.faults()));
}

async function killAgent(camera: WatchedCamera): Promise<void> {
  counts.agent += 1;
  await camera.restart('SIGKILL');
}

/** One that is there at this moment. */
function killCapture(camera: WatchedCamera): void {
  if (camera.killCapture()) counts.capture += 1;
}

async function press(camera: WatchedCamera): Promise<void> {
  counts.withdrawals += 1;
  await camera.withdraw(...(random() < 0.5 ? ['audio'] : []));
  await sleep(random() * 300);
  await camera.grant('video', 'audio');
}

/** One moment of chance; a server that dies while the owner presses is the rare, hard one. */
async function strike(cameras: readonly WatchedCamera[]): Promise<void> {
  const camera = oneOf(cameras);
  const chance = random();
  if (chance < 0.05) {
    counts.all += 1;
    await Promise.all([killServer(), ...cameras.map(killAgent)]);
  } else if (chance < 0.1) await Promise.all([press(camera), killServer()]);
  else if (chance < 0.35) await killServer();
  else if (chance < 0.65) await killAgent(camera);
  else if (chance < 0.9) killCapture(camera);
  else await press(camera);
}

const killed = (): number => counts.server + counts.agent + counts.capture;
const evidence: Evidence[] = [];

t.test(`${KILLS} kills in random order with ${CAMERAS} cameras`, async (t) => {
  for (let i = 0; i < SENDERS; i++) {
    const device = await house.addDevice(`sender-${i}`);
    await house.grant(device.id, 'video');
    senders.push(new Sender(house, device, random));
  }
  for (let i = 0; i < CAMERAS; i++) {
    const spool = { flushAfterMs: FLUSH_AFTER_MS };
    const source = i % 2 === 0 ? FILE : PICTURE;
    cameras.push(await WatchedCamera.add(t, house, `camera-${i}`, { source, spool }));
  }
  for (const camera of cameras) {
    await camera.grant('video', 'audio');
    camera.start();
  }
  const sending = senders.map((sender) => sender.run());
  t.teardown(() => {
    for (const sender of senders) sender.stop();
  });
  for (const camera of cameras) await camera.recordsOn();
  while (killed() < KILLS) {
    await sleep(50 + random() * LONGEST_PAUSE_MS);
    await strike(cameras);
  }
  await serverBack;
  for (const camera of cameras) await camera.recordsOn();
  for (const sender of senders) {
    await sender.sendsOn();
    sender.stop();
  }
  await Promise.all(sending);
  for (const sender of senders) senderFaults.push(...(await sender.faults()));
  t.strictSame(senderFaults, [], 'what was acknowledged to the senders was there all the time');
  for (const camera of cameras) t.equal(await camera.stop('SIGTERM'), 0, 'it stops in order');
  await eventually(
    'no capture outlives its agent',
    () => !cameras.some(({ orphans }) => orphans.some(isAlive)),
    3000,
  );
  printTable(t, [counts]);
  printTable(
    t,
    senders.map(({ acked, resent }) => ({ sent: acked.size, 'sent again': resent })),
  );
});

t.test(
  'acknowledged is stored, once, with consent, and every second is accounted for',
  async (t) => {
    for (const camera of cameras) evidence.push(await camera.evidence(MAY_LOSE_US));
    judgeAll(t, evidence);
  },
);

t.test('what is stored is whole, and decodes', async (t) => {
  const report = await house.verify();
  t.match(report, { code: 0, faults: { length: 0 } });
  t.comment(`${report.segments} segments, ${report.leftOver.length} left over`);
  t.equal(await decodingFaults(house, oneOf(cameras).id, true), '');
});
