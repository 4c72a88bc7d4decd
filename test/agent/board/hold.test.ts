// A hold as a table of what happens to a button, and the bytes and lines that tell of it.
import t from 'tap';
import {
  edgeOf,
  levelArguments,
  majorOf,
  monitorArguments,
} from '../../../agent/board/gpio-commands.ts';
import {
  after,
  type ButtonEvent,
  dueInMs,
  type Hold,
  UNSEEN,
  UP,
} from '../../../agent/board/hold.ts';
import { eventBytes, InputEvents } from '../../../agent/board/input-events.ts';
import { keyEvent } from './events.ts';

const held = (sinceMs: number): Hold => ({ kind: 'held', sinceMs });
const DONE: Hold = { kind: 'done' };

t.test('every event in every state', async (t) => {
  const table: readonly (readonly [Hold, ButtonEvent, Hold])[] = [
    [UNSEEN, 'pressed', held(500)],
    [UNSEEN, 'down', DONE],
    [UNSEEN, 'released', UP],
    [UNSEEN, 'lost', UNSEEN],
    [UP, 'pressed', held(500)],
    [UP, 'down', held(500)],
    [UP, 'released', UP],
    [UP, 'lost', UP],
    [held(100), 'pressed', held(500)],
    [held(100), 'down', held(100)],
    [held(100), 'released', UP],
    [held(100), 'lost', UP],
    [DONE, 'pressed', held(500)],
    [DONE, 'down', DONE],
    [DONE, 'released', UP],
    [DONE, 'lost', DONE],
  ];
  for (const [before, event, wanted] of table)
    t.strictSame(after(before, event, 500), wanted, `${before.kind}, ${event}`);
});

t.test('a hold is due once its whole time is over', async (t) => {
  t.equal(dueInMs(UP, 10_000, 99), null);
  t.equal(dueInMs(DONE, 10_000, 99), null);
  t.equal(dueInMs(held(100), 10_000, 100), 10_000);
  t.equal(dueInMs(held(100), 10_000, 10_099), 1);
  t.equal(dueInMs(held(100), 10_000, 99_999), 0);
});

t.test('events are read from bytes in any portions, on machines of both widths', async (t) => {
  for (const [arch, size] of [
    ['arm64', 24],
    ['x64', 24],
    ['riscv64', 24],
    ['arm', 16],
    ['ia32', 16],
  ] as const) {
    t.equal(eventBytes(arch), size);
    const bytes = Buffer.concat([
      keyEvent(408, 1, { size }),
      keyEvent(0, 0, { size, type: 0 }),
      keyEvent(407, 1, { size }),
      keyEvent(408, 2, { size }),
      keyEvent(408, 7, { size }),
      keyEvent(3, 0, { size, type: 0 }),
      keyEvent(408, 0, { size }),
      keyEvent(408, 1, { size, type: 2 }),
    ]);
    for (let portion = 1; portion <= bytes.length; portion += 1) {
      const events = new InputEvents(408, arch);
      const found: ButtonEvent[] = [];
      for (let at = 0; at < bytes.length; at += portion)
        found.push(...events.push(bytes.subarray(at, at + portion)));
      t.strictSame(found, ['pressed', 'down', 'lost', 'released'], `${arch} ${portion}`);
    }
  }
});

t.test('both versions of the tools for GPIO lines are called as they want it', async (t) => {
  t.equal(majorOf('gpiomon (libgpiod) v1.6.3\nCopyright (C) 2017-2018 Somebody\n'), 1);
  t.equal(majorOf('gpiomon (libgpiod) v2.2.1\n'), 2);
  t.equal(majorOf('gpiomon (libgpiod) v3.0\n'), undefined);
  t.equal(majorOf(''), undefined);
  const low = { type: 'gpio', chip: 'gpiochip0', line: 17, activeLow: true } as const;
  const high = { ...low, activeLow: false };
  t.strictSame(
    [
      monitorArguments(low, 1),
      monitorArguments(high, 2),
      levelArguments(high, 1),
      levelArguments(low, 2),
    ].map((all) => all.join(' ')),
    [
      '--line-buffered --format=%e --active-low gpiochip0 17',
      '--edges=both --format=%e --chip=gpiochip0 17',
      'gpiochip0 17',
      '--numeric --active-low --chip=gpiochip0 17',
    ],
  );
  t.strictSame(['1', '0', '2', '', '3', '11'].map(edgeOf), [
    'pressed',
    'released',
    'released',
    undefined,
    undefined,
    undefined,
  ]);
});
