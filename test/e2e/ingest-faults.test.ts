// A server whose whole disk has four megabytes, index and journal included: it fills up, is freed, fills
// up again, is ended and started without a free byte. Nothing acknowledged is lost, the owner can always
// delete, and all goes on where there is room.
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { House } from './house.ts';
import { FILE_TIMEOUT_MS } from './processes.ts';
import { Sender } from './sender.ts';
import { smallDisk } from './small-disk.ts';

t.setTimeout(FILE_TIMEOUT_MS);
const rounds = process.env.TORTURE === undefined ? 2 : 20;
const disk = smallDisk(t, 4);
const house = await House.open(t, { store: { minFreeBytes: 1 << 20 } }, join(disk.folder, 'data'));
const camera = await house.addDevice('camera');
await house.grant(camera.id, 'video', 'audio');
const sender = new Sender(camera, 30_000);

/** Sends until there is no room; returns how many fitted. */
async function fillUp(): Promise<number> {
  const { size } = sender.acked;
  const refused = sender.refusals.length;
  while (await sender.tryOne());
  if (sender.refusals.slice(refused).some((code) => code !== 'STORE_FULL'))
    throw new Error(`refused: ${sender.refusals}`);
  return sender.acked.size - size;
}

/** The owner deletes the older half. */
async function deleteHalf(): Promise<number> {
  const { segments } = await house.stored(camera.id);
  const middle = segments[segments.length >> 1]?.startAtUs ?? 0;
  const until = new Date((middle - 1) / 1000).toISOString();
  const { deleted } = await house.ask<{ deleted: number }>(
    'DELETE',
    `/api/devices/${camera.id}/segments?from=1970-01-02T00:00:00.000Z&to=${until}`,
  );
  const gone = segments.filter(({ startAtUs }) => startAtUs < middle);
  sender.forget(gone.map(({ streamId, sequence }) => `${streamId}/${sequence}`));
  return deleted;
}

async function isSound(t: Test): Promise<void> {
  t.same(await sender.faults(house), [], 'acknowledged is stored, once, and nothing else');
}

t.test('it fills up, and what the owner deletes is room again', async (t) => {
  for (let round = 0; round < rounds; round++) {
    t.ok((await fillUp()) > 2, `${sender.acked.size} segments`);
    await isSound(t);
    for (let turn = 0; turn < 3; turn++) {
      const withdrawn = await house.withdraw(camera.id, 'audio');
      t.equal(await house.grant(camera.id, 'audio'), withdrawn + 1);
    }
    t.ok((await deleteHalf()) > 2);
    await isSound(t);
  }
  t.notOk(house.server.hasEnded);
});

t.test('without a single free byte the owner deletes, and so makes room', async (t) => {
  await fillUp();
  const free = disk.fill();
  t.notOk(await sender.tryOne());
  t.ok((await deleteHalf()) > 2, 'deleted');
  const withdrawn = await house.withdraw(camera.id, 'audio');
  t.equal((await house.device(camera.id)).epoch, withdrawn);
  free();
  await isSound(t);
  t.ok(await sender.tryOne(), 'there is room again');
});

t.test('ended and started without a free byte, it serves its owner', async (t) => {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await fillUp();
    const free = disk.fill();
    t.notOk(await sender.tryOne());
    await house.server.kill(signal);
    await house.start();
    await isSound(t);
    t.ok((await deleteHalf()) > 1, 'deleted');
    free();
    t.ok(await sender.tryOne(), 'there is room again');
    await isSound(t);
  }
  t.match(await house.verify(), { code: 0, faults: { length: 0 }, leftOver: { length: 0 } });
});
