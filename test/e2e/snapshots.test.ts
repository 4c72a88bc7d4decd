// Snapshots and events of a real server, from the wire to the owner: what was acknowledged outlives a
// kill, what came without consent is nowhere, and what is erased is gone.
import { createHash, randomBytes } from 'node:crypto';
import t from 'tap';
import { encodeEvent } from '../../proto/event.ts';
import { encodeSnapshot } from '../../proto/snapshot.ts';
import { TestDevice } from './device.ts';
import { type Added, House } from './house.ts';
import { eventually, FILE_TIMEOUT_MS } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const house = await House.open(t);
const BOOT = '11111111-2222-4333-8444-555555555555';

const newHexId = (): string => randomBytes(16).toString('hex');
const nowUs = (): number => Date.now() * 1000;

function eventOf(epoch: number, eventId: string, durationUs: number): Uint8Array {
  return encodeEvent({
    ...{ eventId, kind: 'motion', bootId: BOOT, startAtUs: nowUs(), startMonoUs: 1, epoch },
    ...{ durationUs, lasts: durationUs === 0, peak: 9, code: null, detail: '' },
  });
}

/** A picture, taken on a command, or by itself. */
function pictureOf(epoch: number, media: Buffer, commandId: string | null): Uint8Array {
  return encodeSnapshot({
    ...{ snapshotId: newHexId(), bootId: BOOT, atUs: nowUs(), monoUs: 1, epoch },
    ...{ cause: commandId === null ? 'interval' : 'requested', causeId: commandId },
    ...{ width: 640, height: 480, sha256: createHash('sha256').update(media).digest(), media },
  });
}

const pathOf = ({ id }: Added): string => `/api/devices/${id}/snapshots`;

interface Listed {
  readonly snapshots: readonly { readonly snapshotId: string; readonly cause: string }[];
}
const listed = (camera: Added): Promise<Listed> => house.ask('GET', pathOf(camera));

t.test('a picture asked for comes from the camera, and a killed server still has it', async (t) => {
  const camera = await house.addDevice('asked');
  const epoch = await house.grant(camera.id, 'video', 'snapshot');
  t.equal((await house.fetch('POST', pathOf(camera))).status, 503, 'it is not connected');
  const device = await TestDevice.connect(camera.bundle);
  const media = randomBytes(300_000);
  const taking = house.ask<{ snapshotId: string; cause: string }>('POST', pathOf(camera));
  await eventually('it is asked', () => device.said.some(({ kind }) => kind === 'command'));
  const commandId = device.said.flatMap((said) =>
    said.kind === 'command' ? said.command.commandId : [],
  )[0];
  const other = await device.publish('snapshot', pictureOf(epoch, randomBytes(9), null));
  t.equal(other.outcome, 'acked');
  await device.publish('snapshot', pictureOf(epoch, media, commandId ?? ''));
  const { snapshotId, cause } = await taking;
  t.equal(cause, 'requested', 'not another one');
  const eventId = newHexId();
  t.equal((await device.publish('event', eventOf(epoch, eventId, 0))).outcome, 'acked');
  t.equal((await device.publish('event', eventOf(epoch, eventId, 7))).outcome, 'acked');

  await house.server.kill('SIGKILL');
  await house.start();
  const picture = await house.fetch('GET', `${pathOf(camera)}/${snapshotId}`);
  t.same(Buffer.from(await picture.arrayBuffer()), media);
  const { events } = await house.ask<{ events: object[] }>(
    'GET',
    `/api/devices/${camera.id}/events`,
  );
  t.match(events, [{ eventId, lasts: false, durationUs: 7 }]);
  t.match(await house.check(), { faults: { length: 0 }, leftOver: { length: 0 }, snapshots: 2 });
});

t.test('without consent nothing is kept, and what is given away is erased', async (t) => {
  const camera = await house.addDevice('closed');
  const epoch = await house.grant(camera.id, 'video', 'snapshot');
  const device = await TestDevice.connect(camera.bundle);
  const send = () => device.publish('snapshot', pictureOf(epoch, randomBytes(999), null));
  t.equal((await send()).outcome, 'acked');
  await house.withdraw(camera.id, 'snapshot');
  t.match(await send(), { outcome: 'acked', verdicts: { length: 0 } }, 'dropped, and it goes on');
  t.equal((await listed(camera)).snapshots.length, 1);
  t.equal((await house.fetch('POST', pathOf(camera))).status, 403);
  t.notOk(
    device.said.some(({ kind }) => kind === 'command'),
    'it is not even asked',
  );
  await house.ask('POST', `/api/devices/${camera.id}/release`, { recordings: 'delete' });
  t.same(await listed(camera), { snapshots: [], next: null });
  t.match(await house.check(), { faults: { length: 0 }, leftOver: { length: 0 } });
});
