// Many simulated devices in a process of their own, idle or recording; what they cost is counted for
// nobody. Tells how they fare ten times a second.
import { Camera } from './camera.ts';
import { Configured } from './configured.ts';
import type {
  Acked,
  ConfigAnswer,
  FleetSpec,
  FromFleet,
  Refusal,
  Status,
  ToFleet,
} from './fleet-messages.ts';
import type { Device } from './messages.ts';
import { Standing } from './standing.ts';

const STATUS_MS = 100;

const say = (message: FromFleet): void => {
  process.send?.(message);
};

const ending = new AbortController();
const standing: Standing[] = [];
let [connected, losses, lastUpAtMs] = [0, 0, 0];
let refusals: Refusal[] = [];
let acked: Acked[] = [];
let answers: ConfigAnswer[] = [];

function makeDevice(spec: FleetSpec, device: Device, index: number): Standing {
  const camera = activity(spec, device.deviceId, index);
  return new Standing({
    server: spec,
    device,
    uplink: spec.uplink,
    onUp: (link) => {
      connected += 1;
      lastUpAtMs = Date.now();
      camera?.use(link);
    },
    onLost: () => {
      connected -= 1;
      losses += 1;
      camera?.pause();
    },
    onRefused: (refusal) => refusals.push(refusal),
    ...(camera ? { onMessage: (topic, payload) => camera.receive(topic, payload) } : {}),
  });
}

/** What a device does besides being connected. */
function activity(
  spec: FleetSpec,
  deviceId: string,
  index: number,
): Camera | Configured | undefined {
  const { cameras, configured } = spec;
  const behaving = configured?.devices[deviceId];
  if (configured && behaving)
    return new Configured({
      ...{ ...configured, ...behaving, deviceId },
      onAnswer: (answer) => answers.push(answer),
    });
  const epoch = cameras?.epochs[index] ?? 0;
  return cameras
    ? new Camera({ ...cameras, epoch, deviceId, onAck: (ack) => acked.push(ack) })
    : undefined;
}

/** So many first connections at a time; each goes on by itself then. */
async function begin(spec: FleetSpec): Promise<void> {
  const waiting = spec.devices.map((device, index) => makeDevice(spec, device, index));
  standing.push(...waiting);
  const beginner = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const first = Promise.withResolvers<void>();
      next.run(ending.signal, first.resolve).catch(fail);
      await first.promise;
    }
  };
  await Promise.all(Array.from({ length: spec.atATime }, beginner));
}

function fail(error: unknown): void {
  say({ kind: 'failed', why: error instanceof Error ? error.message : String(error) });
  process.exit(1);
}

function report(): void {
  const status: Status = { connected, losses, lastUpAtMs, refusals, acked, answers };
  [refusals, acked, answers] = [[], [], []];
  say({ kind: 'status', status });
}

process.on('message', (message: ToFleet) => {
  if (message.kind === 'settle') for (const device of standing) device.settle();
  if (message.kind === 'cut') for (const device of standing) device.cut();
  if (message.kind !== 'start') return;
  setInterval(report, STATUS_MS);
  begin(message.spec).catch(fail);
});
process.once('disconnect', () => {
  ending.abort();
  process.exit();
});
