// What is typed becomes a merge patch; a configuration is shown so that it can be typed.
import t from 'tap';
import { configLines } from '../../../broker/cli/config-lines.ts';
import { bothPatches, parsePatch, patchOf, settingsOf } from '../../../broker/cli/config-patch.ts';
import { editText, patchFromText, writtenText } from '../../../broker/cli/config-text.ts';

t.test('settings as they are typed', async (t) => {
  t.same(patchOf(['video.bitrateKbps=1500', 'video.flip=vertical', 'overlay.clock=true'], []), {
    video: { bitrateKbps: 1500, flip: 'vertical' },
    overlay: { clock: true },
  });
  t.same(patchOf(['masks=[[[0,0],[1,0],[1,1]]]', 'label.name=a=b'], []), {
    masks: [
      [
        [0, 0],
        [1, 0],
        [1, 1],
      ],
    ],
    label: { name: 'a=b' },
  });
  t.same(patchOf(['label.name='], ['video', 'overlay.clock']), {
    label: { name: null },
    video: null,
    overlay: { clock: null },
  });
  t.same(bothPatches({ video: { width: 1, height: 2 } }, { video: { width: null } }), {
    video: { width: null, height: 2 },
  });
  for (const typed of ['video', '=1', '.a=1', '__proto__=1', 'a.b.c.d=1', 'a b=1'])
    t.throws(() => patchOf([typed], []), { code: 'REQUEST_INVALID' }, typed);
  for (const text of ['', '[]', '1', '{'])
    t.throws(() => parsePatch(text, 'file'), { code: 'REQUEST_INVALID' }, text);
});

t.test('a configuration in lines', async (t) => {
  t.same(settingsOf({ video: { width: 640 }, masks: [] }), [
    ['video.width', '640'],
    ['masks', '[]'],
  ]);
  const written = { writtenAt: '2026-05-01T00:00:00Z', writtenBy: 'owner', how: 'api' };
  const state = {
    ...{ version: 3, ...written, document: { video: { width: 640 } } },
    ...{ shared: true, connected: true, reported: null, differences: [], since: null },
  };
  t.same(settingsOf({ label: { name: '640', location: 'by the door' } }), [
    ['label.name', '"640"'],
    ['label.location', 'by the door'],
  ]);
  t.match(configLines({ ...state, shared: false }).join('\n'), /you share no device information/);
  t.match(configLines(state).join('\n'), /has not said anything yet\ndifference: not known/);
  const reported = {
    ...{ version: 2, state: 'rejected', inForce: 0, at: 'a', receivedAt: 'b', settings: {} },
    ...{
      code: 'CONFIG_INVALID',
      detail: 'no',
      faults: [{ path: '/video/width', message: 'must' }],
    },
  };
  const differences = [{ path: '/video/width', desired: 640, reported: null }];
  const drifted = configLines({ ...state, reported, differences, since: 'c' });
  t.same(drifted, [
    'desired:    version 3, by you at 2026-05-01T00:00:00Z',
    '  video.width = 640',
    "reported:   version 2 rejected (CONFIG_INVALID: no) at b; in force is the board's own; nothing yet about version 3",
    '  video.width: must',
    'difference: since c',
    '  video.width: wanted 640, in force not told',
  ]);
  const liar = { ...reported, detail: 'no\ndifference: none', faults: [] };
  const lines = configLines({
    ...state,
    connected: false,
    reported: liar,
    differences,
    since: 'c',
  });
  t.notOk(
    lines.some((line) => /\n|^difference: none/.test(line)),
    'it says nothing in our name',
  );
  t.match(lines.join('\n'), /nothing yet about version 3, it is not connected$/m);
  const trying = { ...reported, version: 3, state: 'accepted', code: null, detail: '' };
  t.match(configLines({ ...state, reported: trying }).join('\n'), /version 3 accepted and being/);
});

t.test('an edited text becomes the patch that makes it so', async (t) => {
  const document = { video: { width: 640, height: 480 }, masks: [[[0, 0]]], label: { name: 'a' } };
  const patch = (after: object) => patchFromText(document, JSON.stringify(after));
  t.same(patch(document), {});
  t.same(patch({ ...document, masks: [] }), { masks: [] });
  t.same(patch({ video: { width: 320 }, label: {} }), {
    video: { width: 320, height: null },
    masks: null,
    label: { name: null },
  });
  t.same(patch({ ...document, audio: { on: false }, label: 'a' }), {
    audio: { on: false },
    label: 'a',
  });
  const own = patchFromText(document, '{"__proto__": {"a": 1}, "video": {}}');
  t.ok(Object.hasOwn(own, '__proto__'), 'a name like any other, for the server to refuse');
  t.equal(Reflect.get({}, 'a'), undefined);
  const text = editText({ name: 'Porch', version: 3, document }, undefined, 'one\ntwo');
  t.match(text, /^\/\/ Porch, version 3.*\n\/\/ one\n\/\/ two\n\{/s);
  t.same(JSON.parse(writtenText(text)), document);
});
