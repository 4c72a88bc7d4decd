// A running server: its figures, and who is connected, seen by the verbs of another process.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { listDevices } from '../../../broker/operator/devices.ts';
import { TestDevice } from '../../e2e/device.ts';
import { House } from '../../e2e/house.ts';
import { eventually } from './eventually.ts';

t.test('figures and connections follow a device that comes and goes', async (t) => {
  const house = await House.open(t);
  const { id, bundle } = await house.addDevice('hall');
  const address: { metricsUrl: string } = JSON.parse(
    await readFile(join(house.folder, 'run', 'server.json'), 'utf8'),
  );
  const figures = async (): Promise<string> => (await fetch(address.metricsUrl)).text();
  const isConnected = async (): Promise<boolean | null | undefined> =>
    (await house.inside(listDevices)).find(({ deviceId }) => deviceId === id)?.connected;
  t.equal(await isConnected(), false);
  const device = await TestDevice.connect(bundle);
  await eventually(async () => (await isConnected()) === true);
  const text = await figures();
  t.match(text, /^lenscap_connections\{kind="device"\} 1$/m);
  t.match(text, /^lenscap_devices\{state="claimed"\} 1$/m);
  t.match(text, /^lenscap_certificates\{remaining_days="60-"\} 1$/m);
  for (const secret of [id, 'hall', 'owner@example.org']) t.notOk(text.includes(secret), secret);
  await device.close();
  await eventually(async () => (await isConnected()) === false);
  t.match(await figures(), /^lenscap_connections\{kind="device"\} 0$/m);
  t.match(house.server.out, new RegExp(`^figures: ${address.metricsUrl}$`, 'm'));
});
