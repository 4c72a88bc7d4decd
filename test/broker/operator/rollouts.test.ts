// Labels and rollouts by the operator's verbs: what they take, what they refuse, what they show.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { enrol } from '../../../broker/fleet/enrolment.ts';
import { addAccount } from '../../../broker/operator.ts';
import { ready } from './verbs.ts';

t.setTimeout(120_000);

const { house, run } = await ready(t);
const file = join(house.folder, 'patch.json');
const patch = (document: unknown): string => {
  writeFileSync(file, JSON.stringify(document));
  return file;
};
const ids: string[] = [];

t.test('a rollout to no device is refused', async (t) => {
  t.match(await run('rollout', 'start', patch({ log: { level: 'debug' } })), {
    status: 64,
    err: /no device is in use yet/,
  });
  t.match(await run('rollout', 'list'), { status: 0, out: '' });
  const accountId = await addAccount(house, 'rollout@example.org', 'correct horse battery');
  for (const name of ['one', 'two', 'three'])
    ids.push(
      (await enrol(house, { accountId, name, server: { host: 'localhost', port: 1 } })).deviceId,
    );
});

t.test('labels are set, shown and removed', async (t) => {
  const [id = ''] = ids;
  t.match(await run('device', 'label', id, 'site=north', 'model=b2'), {
    status: 0,
    out: 'model=b2\nsite=north\n',
  });
  t.match(await run('device', 'label', id, 'site=south', 'model-'), { out: 'site=south\n' });
  t.match(await run('device', 'label', id, 'site=north', 'no label'), { status: 64 });
  t.match(await run('device', 'label', id), { out: 'site=south\n' }, 'all or none');
  t.match(await run('device', 'label', 'cam-none', 'site=north'), { status: 66 });
  const many = Array.from({ length: 33 }, (_, i) => `key${i}=1`);
  t.match(await run('device', 'label', id, ...many), { status: 64, err: /at most 32/ });
});

t.test('a rollout takes only what is the operator’s to change', async (t) => {
  await run('device', 'label', ids[0] ?? '', 'site=north');
  const start = (document: unknown, ...more: string[]) =>
    run('rollout', 'start', patch(document), '--label', 'site=north', ...more);
  const owners = { audio: {}, recording: {}, motion: {}, masks: [], overlay: {}, label: {} };
  t.match(await start({ ...owners, video: {} }), {
    status: 64,
    err: /audio, recording, motion, masks, overlay, label: only the owner of a camera may/,
  });
  t.match(await start({ video: { width: 1 } }), {
    status: 78,
    err: /\/video\/width: must be >= 64/,
  });
  const good = { video: { width: 640 } };
  t.match(await start({}), { status: 64 });
  t.match(await start([]), { status: 64 });
  t.match(await start(good, '--stages', '100%,1'), { status: 0 }, 'of one device both are one');
  t.match(await start(good, '--stages', 'all'), { status: 64, err: /stages are/ });
  t.match(await start(good, '--label', 'site=south'), { status: 64, err: /two values/ });
  t.match(await start(good, '--label', 'model=none'), { status: 64, err: /no device in use/ });
});

t.test('rollouts are listed, shown, stopped and resumed', async (t) => {
  const debug = patch({ log: { level: 'debug' } });
  const id = (await run('rollout', 'start', debug, '--stages', '1,2')).out.trim();
  t.match(await run('rollout', 'list'), {
    out: new RegExp(`^${id}  running .* every device  2 pending$`, 'm'),
  });
  t.match(await run('rollout', 'stop', id), { status: 0 });
  t.match(await run('rollout', 'stop', id), { status: 73 });
  const shown = await run('rollout', 'show', id);
  t.match(shown.out, /^state: +stopped \(by the operator\)/m);
  t.match(shown.out, /^stage 2: {2}1 devices {2}1 pending$/m);
  t.match(await run('rollout', 'resume', id, '--stop-above', '50'), { status: 0 });
  const json: unknown = JSON.parse((await run('rollout', 'show', id, '--json')).out);
  t.match(json, { id: Number(id), state: 'running', stopPercent: 50, counts: { pending: 2 } });
  t.match(await run('rollout', 'show', '7'), { status: 66 });
  const reached = ids.filter((id) => shown.out.includes(id));
  t.equal(reached.length, 2, 'as many as the last stage says');
});

t.test('what a camera says cannot move the cursor, and is whole as JSON', async (t) => {
  const id = (await run('rollout', 'start', patch({ log: { level: 'warn' } }))).out.trim();
  const detail = 'bad\u001b[2J\u009b31m\n\u202ename';
  await house.store.rollouts.setDevice(Number(id), ids[0] ?? '', {
    ...{ state: 'reverted', state_at_us: 1, detail },
  });
  const [shown, json] = [
    await run('rollout', 'show', id),
    await run('rollout', 'show', id, '--json'),
  ];
  for (const { out } of [shown, json]) t.notMatch(out, /(?!\n)\p{Cc}|\p{Cf}/u);
  t.match(shown.out, /reverted .* bad\\x1b\[2J/);
  const { devices }: { devices: { detail: string }[] } = JSON.parse(json.out);
  t.ok(devices.some((device) => device.detail === detail));
});
