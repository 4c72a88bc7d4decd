// Withdrawals in quick turn while devices send as fast as they can: once the owner has the answer, not
// one row is added that was captured before it.
import t from 'tap';
import { startAgent } from './agent.ts';
import { Run, TestDevice } from './device.ts';
import { House } from './house.ts';
import { eventually, FILE_TIMEOUT_MS } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const TURNS = 20;
const house = await House.open(t);

/** Sends segments, two at a time, under the latest epoch it was told, until stopped. */
class Sender {
  refused = 0;
  stored = 0;
  isStopped = false;
  readonly #device: TestDevice;

  constructor(device: TestDevice) {
    this.#device = device;
  }

  async run(): Promise<void> {
    let run = new Run(this.#device.epoch);
    await this.#device.publish('stream', run.streamPayload);
    while (!this.isStopped && !this.#device.isClosed) {
      if (this.#device.epoch !== run.stream.epoch) {
        run = new Run(this.#device.epoch);
        await this.#device.publish('stream', run.streamPayload);
      }
      const answers = await Promise.all(
        [1, 2].map(() => this.#device.publish('segment', run.next(65_536).payload)),
      );
      for (const { outcome, codes } of answers) {
        if (outcome === 'acked' && codes.length === 0) this.stored += 1;
        else if (codes.length > 0) this.refused += 1;
      }
    }
  }
}

t.test(`after each of ${TURNS} withdrawals under load nothing is stored any more`, async (t) => {
  const camera = await house.addDevice('load');
  await house.grant(camera.id, 'video');
  const device = await TestDevice.connect(camera.bundle);
  await eventually('the grant', () => device.epoch > 0);
  const sender = new Sender(device);
  const sending = sender.run();
  let late = 0;
  for (let turn = 0; turn < TURNS; turn++) {
    const from = sender.stored;
    await eventually('it is stored', () => sender.stored > from + 3);
    const refusedBefore = sender.refused;
    await house.withdraw(camera.id);
    const { segments } = await house.device(camera.id);
    await eventually('what is sent is refused', () => sender.refused > refusedBefore + 4);
    late += (await house.device(camera.id)).segments - segments;
    await house.grant(camera.id, 'video');
  }
  sender.isStopped = true;
  await sending;
  t.equal(late, 0, 'rows after a withdrawal was answered');
  const { segments } = await house.stored(camera.id);
  t.equal(segments.length, sender.stored, 'what was acknowledged is what is there');
  t.comment(`${sender.stored} stored, ${sender.refused} refused`);
  t.notOk(device.isClosed, 'the connection lived through all of it');
});

t.test('the real agent follows ten withdrawals in quick turn', async (t) => {
  const camera = await house.addDevice('agent');
  await house.grant(camera.id, 'video');
  const agent = startAgent(t, camera, { audio: 'none' });
  await eventually('it records', async () => (await house.device(camera.id)).segments > 0);
  for (let turn = 0; turn < 10; turn++) {
    const withdrawn = await house.withdraw(camera.id);
    const count = (await house.stored(camera.id)).segments.length;
    await eventually(
      'it is obeyed',
      async () => (await house.device(camera.id)).appliedEpoch === withdrawn,
    );
    t.equal((await house.stored(camera.id)).segments.length, count, `turn ${turn}`);
    await house.grant(camera.id, 'video');
  }
  const before = (await house.device(camera.id)).segments;
  await eventually(
    'it records at last',
    async () => (await house.device(camera.id)).segments > before,
  );
  t.equal(await agent.kill('SIGTERM'), 0);
});

t.test('ledger and store are whole', async (t) => {
  t.match(await house.verify(), { code: 0, faults: { length: 0 }, leftOver: { length: 0 } });
});
