// What this board is: model, serial number, firmware, network and storage. Invariant: it is told to
// nobody from here; consent is asked where it is sent.
import { statfs } from 'node:fs/promises';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { DeviceInfo, NetworkInterface } from '../../proto/info.ts';
import { readText } from './board-files.ts';

export interface Board {
  /** Where the files of the system lie; `/` but in tests. */
  readonly root: string;
  /** As the profile of the board names it; null: as the board says itself. */
  readonly model: string | null;
  /** As the maker of the board gave it; null: as the board says itself. */
  readonly serial: string | null;
  readonly agentVersion: string;
  readonly stateDir: string;
}

/** All that is known now. Never rejects. */
export async function describeBoard(board: Board): Promise<DeviceInfo> {
  const { root, agentVersion, stateDir } = board;
  const [model, serial, release, storage] = await Promise.all([
    board.model ?? readModel(root),
    board.serial ?? readText(root, 'proc/device-tree/serial-number'),
    readText(root, 'etc/os-release'),
    storageOf(stateDir),
  ]);
  const interfaces = interfacesUp(networkInterfaces());
  const firmwareVersion = release === null ? null : firmwareIn(release);
  return { model, serial, firmwareVersion, agentVersion, interfaces, storage };
}

async function readModel(root: string): Promise<string | null> {
  const ofTree = await readText(root, 'proc/device-tree/model');
  return ofTree ?? readText(root, 'sys/class/dmi/id/product_name');
}

/** The version of the image, or what the system calls itself, in the text of /etc/os-release. */
export function firmwareIn(release: string): string | null {
  for (const key of ['IMAGE_VERSION', 'PRETTY_NAME']) {
    const [, value = ''] = new RegExp(`^${key}=["']?([^"'\\n]*)["']?$`, 'm').exec(release) ?? [];
    if (value !== '') return value;
  }
  return null;
}

const NO_MAC = '00:00:00:00:00:00';

/** Those that have an address, in the order of their names; null for none. Not the machine's own. */
export function interfacesUp(
  found: NodeJS.Dict<NetworkInterfaceInfo[]>,
): readonly NetworkInterface[] | null {
  const interfaces: NetworkInterface[] = [];
  for (const [name, all = []] of Object.entries(found).sort(([one], [other]) =>
    byText(one, other),
  )) {
    const outward = all.filter(({ internal }) => !internal);
    const mac = outward[0]?.mac ?? NO_MAC;
    const addresses = outward.map(({ address }) => address).sort(byText);
    // A label may follow the name of a device.
    if (outward.length > 0)
      interfaces.push({ name: name.slice(0, 15), mac: mac === NO_MAC ? null : mac, addresses });
  }
  return interfaces.length === 0 ? null : interfaces;
}

const byText = (one: string, other: string): number => (one < other ? -1 : Number(one > other));

/** What is free is told in so many steps, so that it is not news all the time. */
const STEPS = 20;

async function storageOf(folder: string): Promise<DeviceInfo['storage']> {
  try {
    const { blocks, bavail, bsize } = await statfs(folder);
    return inSteps(blocks * bsize, bavail * bsize);
  } catch {
    return null;
  }
}

/** The free part rounded down to a twentieth of the whole. */
export function inSteps(totalBytes: number, freeBytes: number): DeviceInfo['storage'] {
  const step = Math.max(1, totalBytes / STEPS);
  const free = Math.floor(Math.floor(freeBytes / step) * step);
  return { totalBytes, freeBytes: Math.max(0, Math.min(totalBytes, free)) };
}
