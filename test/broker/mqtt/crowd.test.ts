// Who makes room in a full quarantine.
import t from 'tap';
import { type Guest, networkOf, whoMakesRoom } from '../../../broker/mqtt/crowd.ts';

const guests = (...networks: readonly string[]): [number, Guest][] =>
  networks.map((network, at) => [at, { network, isAsking: false }]);

t.test('the longest there of where most are goes, if that makes it fairer', async (t) => {
  t.equal(whoMakesRoom(guests('b', 'a', 'a', 'a'), 'new'), 1);
  t.equal(whoMakesRoom(guests('b', 'a', 'a', 'a'), 'b'), 1);
  t.equal(whoMakesRoom(guests('a', 'a', 'b', 'b', 'b'), 'c'), 2);
  t.equal(whoMakesRoom(guests('a', 'b', 'c'), 'd'), undefined, 'all have one');
  t.equal(whoMakesRoom(guests('a', 'a', 'a'), 'a'), undefined, 'its own');
  t.equal(whoMakesRoom(guests('a', 'a', 'b'), 'b'), undefined, 'it would only turn round');
  t.equal(whoMakesRoom([], 'a'), undefined);
});

t.test('who is being answered stays', async (t) => {
  const all = guests('a', 'a', 'a').map(([at, guest]): [number, Guest] => [
    at,
    { ...guest, isAsking: at !== 2 },
  ]);
  t.equal(whoMakesRoom(all, 'b'), 2);
  t.equal(whoMakesRoom(all.slice(0, 2), 'b'), undefined);
});

t.test('an IPv6 address stands for its /64, an IPv4 address for itself', async (t) => {
  for (const [address, network] of [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::9', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['', ''],
  ] as const)
    t.equal(networkOf(address), network, address);
});
