// What this board is: model, serial number, firmware, network and storage. Invariant: it is told to
// nobody from here; consent is asked where it is sent.
import { statfs } from 'node:fs/promises';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { DeviceInfo, NetworkInterface } from '../../proto/info.ts';
import type { BoardFiles } from './board-files.ts';

export interface Board {
  readonly files: BoardFiles;
  /** As the profile of the board names it; null: as the board says itself. */
  readonly model: string | null;
  /** As the maker of the board gave it; null: as the board says itself. */
  readonly serial: string | null;
  readonly agentVersion: string;
  readonly stateDir: string;
}

export class BoardDescription {
  readonly #board: Board;
  /** As it was told last. */
  #storage: DeviceInfo['storage'] = null;

  constructor(board: Board) {
    this.#board = board;
  }

  /** All that is known now. Never rejects. */
  async read(): Promise<DeviceInfo> {
    const { files, agentVersion, stateDir } = this.#board;
    const [model, serial, release, storage] = await Promise.all([
      this.#board.model ?? readModel(files),
      this.#board.serial ?? files.text('proc/device-tree/serial-number'),
      files.text('etc/os-release'),
      storageOf(stateDir, this.#storage),
    ]);
    this.#storage = storage;
    const interfaces = interfacesUp(networkInterfaces());
    return {
      model: plain(model),
      serial: plain(serial),
      firmwareVersion: plain(firmwareIn(release ?? '')),
      agentVersion,
      interfaces,
      storage,
    };
  }
}

async function readModel(files: BoardFiles): Promise<string | null> {
  const ofTree = await files.text('proc/device-tree/model');
  return ofTree ?? files.text('sys/class/dmi/id/product_name');
}

/** Words of the board in one line that does nothing to a terminal. */
function plain(text: string): string;
function plain(text: string | null): string | null;
function plain(text: string | null): string | null {
  return text?.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\u{FFFD}') ?? null;
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
      interfaces.push({
        name: plain(name).slice(0, 15),
        mac: mac === NO_MAC ? null : mac,
        addresses,
      });
  }
  return interfaces.length === 0 ? null : interfaces;
}

const byText = (one: string, other: string): number => (one < other ? -1 : Number(one > other));

/** What is free is told in so many steps, so that it is not news all the time. */
const STEPS = 20;

async function storageOf(
  folder: string,
  before: DeviceInfo['storage'],
): Promise<DeviceInfo['storage']> {
  try {
    const { blocks, bavail, bsize } = await statfs(folder);
    return inSteps(blocks * bsize, bavail * bsize, before);
  } catch {
    return null;
  }
}

/**
 * The free part rounded down to a twentieth of the whole. What was said before stays said until it is wrong
 * by half a step more, so that what goes to and fro about the edge of a step is no news.
 */
export function inSteps(
  totalBytes: number,
  freeBytes: number,
  before: DeviceInfo['storage'] = null,
): DeviceInfo['storage'] {
  const step = Math.max(1, totalBytes / STEPS);
  const aboveBytes = freeBytes - (before?.freeBytes ?? 0);
  if (before?.totalBytes === totalBytes && aboveBytes > -step / 2 && aboveBytes < 1.5 * step)
    return before;
  const free = Math.floor(Math.floor(freeBytes / step) * step);
  return { totalBytes, freeBytes: Math.max(0, Math.min(totalBytes, free)) };
}
