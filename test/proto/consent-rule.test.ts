import t from 'tap';
import { mayTakeIn, nextGranted, SCOPES, scopeFromWire, scopeToWire } from '../../proto/scopes.ts';

t.test(
  'only what was granted without interruption since its capture may be taken in',
  async (t) => {
    const epoch2 = nextGranted(new Map(), 2, ['video', 'audio']);
    const epoch3 = nextGranted(epoch2, 3, ['video']);
    const epoch4 = nextGranted(epoch3, 4, ['video', 'audio', 'live']);
    const cases = [
      ['captured under the grant in force', 4, ['video', 'audio'], true],
      ['widening does not orphan what is spooled', 2, ['video'], true],
      [
        'sound from before its withdrawal is refused though it is granted again',
        2,
        ['video', 'audio'],
        false,
      ],
      ['captured before any grant', 1, ['video'], false],
      ['a scope that was never granted', 4, ['location'], false],
      ['nothing at all', 4, [], false],
    ] as const;
    for (const [name, epoch, scopes, expected] of cases)
      t.equal(mayTakeIn({ epoch, scopes }, epoch4), expected, name);
  },
);

t.test('scopes keep their numbers on the wire', async (t) => {
  t.same(SCOPES.map(scopeToWire), [1, 2, 3, 4, 5, 6, 7]);
  t.same([1, 2, 3, 4, 5, 6, 7].map(scopeFromWire), [...SCOPES]);
  t.equal(scopeFromWire(0), undefined);
  t.equal(scopeFromWire(8), undefined);
});
