// A camera on a line that loses packets, in a network of its own (run by link.test.ts, under unshare).
// What loses them is the first argument.
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { BehindProxy } from './behind-proxy.ts';
import { House } from './house.ts';
import { FILE_TIMEOUT_MS, finished } from './processes.ts';

const IS_LONG = process.env.TORTURE === '1';
t.setTimeout(IS_LONG ? 3_600_000 : FILE_TIMEOUT_MS);

/** Packets as they are on a wire; the loopback has larger ones, and so fewer. */
const WIRE = ['ip', 'link', 'set', 'lo', 'mtu', '1500', 'gso_max_segs', '1'];
/** Commands that make the line to this port lose packets, by their means. */
const LOSS: Readonly<Record<string, (port: number) => string[][]>> = {
  iptables: (port) =>
    ['--dport', '--sport'].map((end) => [
      ...['iptables', '-A', 'INPUT', '-i', 'lo', '-p', 'tcp', end, String(port)],
      ...['-m', 'statistic', '--mode', 'random', '--probability', '0.03', '-j', 'DROP'],
    ]),
  // A queue that holds next to nothing: what comes faster is dropped.
  tc: () => [
    [
      ...['tc', 'qdisc', 'add', 'dev', 'lo', 'root'],
      ...['tbf', 'rate', '1mbit', 'burst', '16kbit', 'latency', '2ms'],
    ],
  ],
};

t.test('nothing is lost with the packets', async (t) => {
  const means = process.argv[2] ?? '';
  const house = await House.open(t);
  const on = await BehindProxy.start(t, house, await house.addDevice('lossy'), {
    uplink: { drainTimeoutMs: 60_000 },
  });
  for (const command of [WIRE, ...(LOSS[means]?.(on.proxy.port) ?? [])])
    t.match(await finished(command), { code: 0, err: '' }, command.join(' '));
  await on.stores(IS_LONG ? 300 : 8, IS_LONG ? 1_800_000 : 60_000);
  await sleep(1000);
  const { out } = await finished(['nstat', '-asz', 'TcpRetransSegs']);
  const again = Number(/TcpRetransSegs\s+(\d+)/.exec(out)?.[1] ?? 0);
  t.comment(`${means}: ${again} packets were sent again`);
  t.ok(again > 0, 'packets were lost');
  const segments = await on.end(t);
  t.ok(segments.length > 8);
});
