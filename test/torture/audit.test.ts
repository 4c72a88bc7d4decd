// The audit finds each fault that it is there for: a sound run with one thing wrong.
import t from 'tap';
import type { Segment } from '../e2e/house.ts';
import { type Evidence, faultsOf, figuresOf, idOf, unionUs } from './audit.ts';
import { saidIn } from './said.ts';

const START_US = 1_790_000_000_000_000;
const S = 1_000_000;

function piece(second: number, over: Partial<Segment> = {}): Segment {
  const startAtUs = START_US + second * S;
  return {
    streamId: 'a',
    sequence: second,
    startAtUs,
    durationUs: S,
    bytes: 1000,
    sha256: `hash ${second}`,
    epoch: 2,
    scopes: ['video'],
    receivedAt: new Date((startAtUs + S) / 1000 + 20).toISOString(),
    timeCorrectedUs: 0,
    timeEstimated: false,
    ...over,
  };
}

const press = (epoch: number, second: number, ...scopes: string[]) => ({
  epoch,
  scopes,
  askedAtUs: START_US + second * S,
  answeredAtUs: START_US + second * S + 10_000,
});

/** Ten seconds, of which the sixth fell to a kill. */
function sound(): Evidence {
  const seconds = [0, 1, 2, 3, 4, 6, 7, 8, 9];
  const segments = seconds.map((second) => piece(second));
  const at = (second: number) => START_US + second * S;
  return {
    segments,
    gaps: [],
    acknowledged: new Set(segments.map(idOf)),
    presses: [press(2, -1, 'video'), press(3, 10.5)],
    disturbances: [{ what: 'agent SIGKILL', atUs: at(5.5), untilUs: at(5.5) }],
    account: [
      { fromUs: at(0), toUs: at(5), kind: 'recorded', reasons: [] },
      { fromUs: at(5), toUs: at(6), kind: 'not_running', reasons: ['agent_stopped'] },
      { fromUs: at(6), toUs: at(10), kind: 'recorded', reasons: [] },
    ],
    fromUs: at(0),
    toUs: at(10),
    mayLoseUs: 2 * S,
  };
}

const stretchesOf = (kind: string, ...reasons: string[]) =>
  sound().account.map((one, i) => (i === 1 ? { ...one, kind, reasons } : one));

const FAULTS: readonly (readonly [what: string, RegExp, Partial<Evidence>])[] = [
  ['acknowledged, not there', /acknowledged, lost: a\/99/, { acknowledged: new Set(['a/99']) }],
  ['an id twice', /stored twice: a\/9/, { segments: [...sound().segments, piece(9)] }],
  [
    'the same bytes for the same time',
    /the same bytes/,
    { segments: [...sound().segments, piece(9, { streamId: 'b' })] },
  ],
  [
    'two for the same time',
    /of the same time/,
    { segments: [...sound().segments, piece(9, { streamId: 'b', sha256: 'other' })] },
  ],
  ['nothing was granted', /video was not granted/, { presses: [press(2, -1)] }],
  ['captured before the grant', /captured before/, { presses: [press(2, 1, 'video')] }],
  [
    'captured after a withdrawal',
    /captured after video was withdrawn/,
    { presses: [press(2, -1, 'video'), press(3, 5)] },
  ],
  [
    'stored after a withdrawal',
    /stored after video was withdrawn/,
    {
      segments: sound().segments.map((one, i) =>
        i === 3 ? { ...one, receivedAt: new Date((START_US + 11 * S) / 1000).toISOString() } : one,
      ),
    },
  ],
  ['a step in the account', /has a step/, { account: sound().account.slice(1) }],
  ['an account that ends early', /ends 4000000 us early/, { account: sound().account.slice(0, 2) }],
  ['recorded is not stored', /stored are/, { account: stretchesOf('recorded') }],
  ['lost without a reason', /without a reason/, { account: stretchesOf('lost') }],
  ['stopped by itself', /nothing was done to it/, { disturbances: [] }],
  ['a kill that took too much', /nothing was done to it|lost before/, { mayLoseUs: S / 4 }],
];

t.test('a sound run has no fault, and its figures are told', (t) => {
  t.strictSame(faultsOf(sound()), []);
  t.strictSame(figuresOf(sound()), {
    acknowledged: 9,
    stored: 9,
    recordedS: 9,
    share: 0.9,
    mostLostS: 0.5,
  });
  t.end();
});

for (const [what, fault, over] of FAULTS)
  t.test(`found: ${what}`, (t) => {
    t.match(faultsOf({ ...sound(), ...over }).join('\n'), fault);
    t.end();
  });

t.test('consent that was widened meanwhile is no fault', (t) => {
  const presses = [press(2, -1, 'video'), press(3, 5, 'video', 'audio')];
  t.strictSame(faultsOf({ ...sound(), presses }), []);
  t.end();
});

t.test('time covered twice counts once', (t) => {
  const pieces = [piece(0), piece(0, { durationUs: S / 2 }), piece(2)];
  t.equal(unionUs(pieces, START_US, START_US + 10 * S), 2 * S);
  t.equal(unionUs(pieces, START_US + S / 2, START_US + 2.5 * S), S);
  t.end();
});

t.test('acknowledged is what the server took in; a line cut off by a kill was never said', (t) => {
  const target = (sequence: number) => ({ kind: 'segment', streamId: 'a', sequence });
  const lines = [
    { msg: 'acknowledged', target: target(1) },
    { msg: 'acknowledged', target: { kind: 'gap', gapId: 'g' } },
    { msg: 'the server refused what was sent', target: target(2), code: 'X', erase: true },
    { msg: 'acknowledged', target: target(2) },
    { msg: 'acknowledged', target: target(3) },
  ].map((line) => JSON.stringify(line));
  const said = saidIn(lines.join('\n').slice(0, -10));
  t.strictSame([...said.acknowledged], ['a/1']);
  t.strictSame([...said.refused], [['X', 1]]);
  t.end();
});
