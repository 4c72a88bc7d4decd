// What becomes of a document by a patch: every fault with its path, and nothing that is too deep.
import t from 'tap';
import {
  changedPaths,
  checked,
  nameIn,
  patched,
} from '../../../broker/fleet/configuration-document.ts';
import { type DeviceConfig, deviceConfigFaults, type Json } from '../../../proto/device-config.ts';
import { toLenscapError } from '../../../proto/errors.ts';
import { seeded } from '../../seeded.ts';

t.test('a patch changes what it names, removes what is null, and leaves the rest', async (t) => {
  const document = patched(
    { video: { bitrateKbps: 900, width: 640 }, masks: [] },
    {
      video: { bitrateKbps: null, height: 480 },
      overlay: { clock: true },
    },
  );
  t.same(document, { masks: [], overlay: { clock: true }, video: { height: 480, width: 640 } });
  t.same(patched(document, { video: { height: null, width: null } }), {
    masks: [],
    overlay: { clock: true },
  });
});

t.test('the same content is the same text', async (t) => {
  const hours = { to: '10:00', from: '09:00', days: ['mon'] };
  const one = checked({ recording: { schedule: [hours], mode: 'motion' }, clock: {} });
  const other = checked({
    recording: { mode: 'motion', schedule: [{ days: ['mon'], from: '09:00', to: '10:00' }] },
  });
  t.equal(JSON.stringify(one), JSON.stringify(other));
});

t.test('what is not valid is refused with each path and what would be allowed', async (t) => {
  const cases: [patch: Json, path: RegExp][] = [
    [{ video: { bitrateKbps: 49 } }, /\/video\/bitrateKbps: must be >= 50/],
    [{ video: { bitrateKbps: 50_001 } }, /\/video\/bitrateKbps: must be <= 50000/],
    [{ video: { bitrateKbps: '900' } }, /\/video\/bitrateKbps: must be integer/],
    [{ video: { rotation: 45 } }, /\/video\/rotation: .*\(0,90,180,270\)/],
    [{ video: { encoder: 'x264enc' } }, /\/video: .*\(encoder\)/],
    [{ source: { type: 'test' } }, /\/: .*\(source\)/],
    [{ consent: { video: true } }, /\(consent\)/],
    [{ uplink: { backoffMinMs: 5 } }, /\(backoffMinMs\)/],
    [{ clock: { timeZone: 'Mars/Olympus' } }, /\/clock\/timeZone: must be a time zone/],
    [
      {
        masks: [
          [
            [0, 0],
            [2, 0],
            [1, 1],
          ],
        ],
      },
      /\/masks\/0\/1\/0: must be <= 1/,
    ],
    [{ label: { name: '! filesink\u0000' } }, /\/label\/name: must match pattern/],
    [{ recording: { schedule: [] } }, /\/recording\/schedule/],
    [
      { recording: { schedule: [{ days: ['mon'], from: '25:00', to: '26:00' }] } },
      /schedule\/0\/from: must match pattern/,
    ],
    [
      { recording: { schedule: [{ days: ['mon'], from: '09:00', to: '09:00' }] } },
      /schedule\/0\/to: must differ/,
    ],
    ['text', /a patch is a JSON object/],
    [[], /a patch is a JSON object/],
  ];
  for (const [patch, said] of cases) t.throws(() => patched({}, patch), { message: said });
});

t.test('ten thousand points, a prototype, and depths without end are refused', async (t) => {
  const points = Array.from({ length: 10_000 }, () => [0.5, 0.5]);
  t.throws(() => patched({}, { masks: [points] }), {
    code: 'CONFIG_INVALID',
    message: /\/masks\/0: must NOT have more than 64 items/,
  });
  const proto: Json = JSON.parse('{"__proto__": {"video": {}}, "constructor": {"prototype": 1}}');
  t.throws(() => patched({}, proto), { code: 'CONFIG_INVALID', message: /\(__proto__\)/ });
  t.equal(Reflect.get({}, 'video'), undefined, 'no prototype was changed');
  const deep: Json = JSON.parse(`${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`);
  t.throws(() => patched({}, deep), { code: 'REQUEST_INVALID', message: /nested/ });
  const lists: Json = JSON.parse(`{"masks":${'['.repeat(50_000)}${']'.repeat(50_000)}}`);
  t.throws(() => patched({}, lists), { code: 'REQUEST_INVALID', message: /nested/ });
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`key${i}`, 1]));
  t.throws(() => patched({}, many), { message: /and 4950 more/ });
});

t.test('what changed is told by paths, lists as a whole', async (t) => {
  const before = { video: { width: 640, height: 480 }, masks: [] };
  const after = { video: { width: 640 }, masks: [[[0, 0]]], label: { name: 'a' } };
  t.same(changedPaths(before, after), ['/label/name', '/masks', '/video/height']);
  t.same(changedPaths(after, after), []);
  t.equal(nameIn(after), 'a');
  t.equal(nameIn({ label: { name: '  ' } }), undefined, 'a name of nothing is none');
});

t.test('whatever a patch is: a valid document of one form, or a refusal', async (t) => {
  const random = seeded(t);
  const names = [
    'video',
    'masks',
    'label',
    'name',
    'width',
    'schedule',
    '__proto__',
    'constructor',
  ];
  const values: readonly Json[] = [null, 0, -1, 640, 1e308, true, '', 'x', 'toString', [], {}];
  const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)];
  const json = (depth: number): Json => {
    const count = Math.floor(random() * 4);
    if (depth === 0 || random() < 0.3) return pick(values) ?? null;
    if (random() < 0.2) return Array.from({ length: count }, () => json(depth - 1));
    return Object.fromEntries(
      Array.from({ length: count }, () => [pick(names) ?? 'video', json(depth - 1)]),
    );
  };
  const before = Object.getOwnPropertyNames(Object.prototype);
  let document: DeviceConfig = {};
  let [taken, refused] = [0, 0];
  for (let i = 0; i < 3000; i++) {
    try {
      document = patched(document, json(5));
      taken += 1;
      const text = JSON.stringify(document);
      if (deviceConfigFaults(document).length > 0) t.fail(text);
      if (JSON.stringify(checked(JSON.parse(text))) !== text) t.fail(`another form of ${text}`);
    } catch (error) {
      refused += 1;
      const { code } = toLenscapError(error);
      if (code !== 'CONFIG_INVALID' && code !== 'REQUEST_INVALID') throw error;
    }
  }
  t.ok(taken > 100 && refused > 100, `${taken} taken, ${refused} refused`);
  t.same(Object.getOwnPropertyNames(Object.prototype), before);
});
