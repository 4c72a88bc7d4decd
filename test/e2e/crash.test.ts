// SIGKILL at moments of chance, to the server, the agent and its capture process, while all send:
// what was acknowledged is there, once, and everybody goes on. KILLS=N for more, SEED=N to repeat.

import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { seeded } from '../seeded.ts';
import { startAgent } from './agent.ts';
import { Run, TestDevice } from './device.ts';
import { type Added, House } from './house.ts';
import { captures, eventually, FILE_TIMEOUT_MS, isAlive, type Running } from './processes.ts';

const KILLS = Number(process.env.KILLS ?? 30);
t.setTimeout(FILE_TIMEOUT_MS + KILLS * 20_000);
const random = seeded(t);
const house = await House.open(t);

/** Sends small segments over connection after connection, and writes down what was acknowledged. */
class Sender {
  readonly camera: Added;
  readonly acked = new Map<string, string>();
  isStopped = false;
  resent = 0;

  constructor(camera: Added) {
    this.camera = camera;
  }

  async run(): Promise<void> {
    let run: Run | undefined;
    let waiting: ReturnType<Run['next']>[] = [];
    while (!this.isStopped) {
      const device = await TestDevice.connect(this.camera.bundle).catch(() => undefined);
      if (device === undefined) {
        await sleep(50);
        continue;
      }
      await eventually('the grant', () => device.epoch > 0 || device.isClosed);
      if (device.epoch === 0) continue;
      run ??= new Run(device.epoch);
      if (!device.isClosed) await device.publish('stream', run.streamPayload);
      this.resent += waiting.length;
      while (!this.isStopped && !device.isClosed) {
        while (waiting.length < 3) waiting.push(run.next(2000 + Math.floor(random() * 60_000)));
        waiting = await this.#send(device, waiting);
        await sleep(10);
      }
      await device.close();
    }
  }

  /** Sends all together; returns those that were not acknowledged. */
  async #send(device: TestDevice, batch: readonly ReturnType<Run['next']>[]) {
    const answers = await Promise.all(
      batch.map(({ payload }) => device.publish('segment', payload)),
    );
    return batch.filter(({ header }, i) => {
      if (answers[i]?.outcome !== 'acked') return true;
      if (answers[i].codes.length > 0) throw new Error(`refused: ${answers[i].codes}`);
      this.acked.set(
        `${header.streamId}/${header.sequence}`,
        Buffer.from(header.sha256).toString('hex'),
      );
      return false;
    });
  }

  /** What is acknowledged but not stored, or stored otherwise; and what is stored twice. */
  async faults(): Promise<string[]> {
    const acked = new Map(this.acked);
    const { segments } = await house.stored(this.camera.id);
    const stored = new Map(segments.map((one) => [`${one.streamId}/${one.sequence}`, one.sha256]));
    const faults = [...acked]
      .filter(([id, sha256]) => stored.get(id) !== sha256)
      .map(([id]) => `lost ${id}`);
    if (stored.size !== segments.length) faults.push('an id is stored twice');
    if (new Set(segments.map(({ sha256 }) => sha256)).size !== segments.length)
      faults.push('media are stored twice');
    return faults;
  }
}

t.test(`${KILLS} kills while three devices and an agent send`, async (t) => {
  const senders: Sender[] = [];
  for (const name of ['one', 'two', 'three']) senders.push(new Sender(await house.addDevice(name)));
  const camera = await house.addDevice('camera');
  for (const { id } of [...senders.map((sender) => sender.camera), camera])
    await house.grant(id, 'video', 'audio');
  const sending = senders.map((sender) => sender.run());
  let agent: Running = startAgent(t, camera);
  const captureOf = async (): Promise<number> => {
    await eventually(
      'the camera is captured',
      () => captures(agent.pid).length > 0,
      undefined,
      () => agent.tail(),
    );
    return captures(agent.pid)[0] ?? 0;
  };
  const counts = { server: 0, agent: 0, capture: 0 };
  const orphans: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(50 + random() * 600);
    const chance = random();
    if (chance < 0.5) {
      counts.server += 1;
      await house.server.kill('SIGKILL');
      await sleep(random() * 100);
      await house.start();
      for (const sender of senders)
        t.strictSame(await sender.faults(), [], `kill ${kill}, ${sender.camera.id}`);
    } else if (chance < 0.75) {
      counts.agent += 1;
      orphans.push(...captures(agent.pid));
      await agent.kill('SIGKILL');
      agent = startAgent(t, camera);
    } else {
      counts.capture += 1;
      const pid = await captureOf();
      process.kill(pid, 'SIGKILL');
      orphans.push(pid);
    }
  }
  t.comment(counts);
  await captureOf();
  const before = (await house.device(camera.id)).segments;
  await eventually(
    'the agent records on',
    async () => (await house.device(camera.id)).segments > before + 1,
    undefined,
    () => agent.tail(),
  );
  for (const sender of senders) {
    const { size } = sender.acked;
    await eventually('the devices send on', () => sender.acked.size > size);
    sender.isStopped = true;
  }
  await Promise.all(sending);
  t.equal(await agent.kill('SIGTERM'), 0);
  await eventually('no capture outlives its agent', () => !orphans.some(isAlive), 3000);
  for (const sender of senders)
    t.strictSame(await sender.faults(), [], `at the end, ${sender.camera.id}`);
  t.comment(
    `${senders.map(({ acked }) => acked.size)} acknowledged, ${senders.map(({ resent }) => resent)} sent again`,
  );
  const { segments } = await house.stored(camera.id);
  const ids = segments.map(({ streamId, sequence }) => `${streamId}/${sequence}`);
  t.equal(new Set(ids).size, ids.length, 'nothing of the agent is stored twice');
});

t.test('verify finds no fault; at most left-overs that were never acknowledged', async (t) => {
  const report = await house.verify();
  t.match(report, { code: 0, faults: [] });
  t.comment(`${report.segments} segments, ${report.leftOver.length} left over`);
});
