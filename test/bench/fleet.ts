// A data folder with a fleet in it: idle devices and cameras, enrolled once for all figures that need
// them, and how they connect.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkAgentConfig } from '../../proto/agent-config.ts';
import { freePort } from '../free-port.ts';
import type { Bench } from './figures.ts';
import { addFleet, makeData, readBundle } from './lenscap.ts';
import type { CameraSpec, FleetSpec, Uplink } from './load/fleet-messages.ts';
import type { Device } from './load/messages.ts';
import { openFilesLimit } from './processes.ts';

const FULL = 2000;
const QUICK = 200;
const CAMERAS = 10;
/** Files that a server has open besides its connections. */
const OTHER_FILES = 200;
/** First connections of each process that are set up at a time: no storm yet. */
const AT_A_TIME = 16;

export interface FleetData {
  readonly folder: string;
  /** The same at every start, so that devices find the server again. */
  readonly port: number;
  readonly ca: string;
  readonly idle: readonly Device[];
  readonly cameras: readonly Device[];
}

let made: FleetData | undefined;

/** Made at the first call. @throws when this machine cannot hold so many connections. */
export async function makeFleet(bench: Bench): Promise<FleetData> {
  const idle = bench.isQuick ? QUICK : FULL;
  if (openFilesLimit() < idle + CAMERAS + OTHER_FILES)
    throw new Error(
      `${openFilesLimit()} open files are too few for ${idle} devices; raise ulimit -n`,
    );
  const folder = join(bench.folder, 'fleet');
  if (made && existsSync(folder)) return made;
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const startMs = performance.now();
  await makeData(folder, { mqtt: { port } });
  await addFleet(folder, CAMERAS + idle, port);
  bench.print(`  ${CAMERAS + idle} devices enrolled in ${seconds(performance.now() - startMs)} s`);
  const bundles = Array.from({ length: CAMERAS + idle }, (_, i) => readBundle(folder, i));
  made = {
    folder,
    port,
    ca: bundles[0]?.ca ?? '',
    cameras: bundles.slice(0, CAMERAS),
    idle: bundles.slice(CAMERAS),
  };
  return made;
}

/** Devices as agents with the default configuration connect. */
export function fleetSpec(
  server: { readonly port: number; readonly ca: string },
  devices: readonly Device[],
  cameras: CameraSpec | null = null,
): FleetSpec {
  return {
    ...server,
    servername: 'localhost',
    devices,
    uplink: UPLINK,
    atATime: AT_A_TIME,
    cameras,
  };
}

/** The defaults; what is required beside them does not matter here. */
const UPLINK: Uplink = checkAgentConfig(
  { identity: 'none', stateDir: 'none', source: { type: 'test' } },
  'defaults',
).uplink;

const seconds = (ms: number): string => (ms / 1000).toFixed(1);
