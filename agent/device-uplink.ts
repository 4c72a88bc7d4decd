// The connection of a device with all that is settled over it, made and joined.

import { BoardFiles } from './board/board-files.ts';
import { BoardDescription } from './board/description.ts';
import { BoardVitals } from './board/vitals.ts';
import { Configuring } from './config/configuring.ts';
import { live } from './config/settings.ts';
import type { DeviceLifeDeps } from './device-deps.ts';
import type { DeviceParts } from './device-parts.ts';
import { StoredCredentials } from './identity/credentials.ts';
import { ReleaseOrder } from './identity/release.ts';
import { Renewal } from './identity/renewal.ts';
import { JournalSender } from './journal/sender.ts';
import { SnapshotSending } from './snapshots/sending.ts';
import { Anchoring } from './uplink/anchor.ts';
import type { Errand } from './uplink/errand.ts';
import { LinkFigures } from './uplink/figures.ts';
import { clockOffsetMs, HealthReport, healthVitals } from './uplink/health.ts';
import { Info } from './uplink/info.ts';
import { Uplink } from './uplink/uplink.ts';
import { readVersion } from './version.ts';

const GRANT_TIMEOUT_MS = 10_000;
/** Where the files of the system lie. */
const ROOT = '/';

/** Returns the connection, and who reads how the board is. */
export function makeUplink(
  deps: DeviceLifeDeps,
  parts: DeviceParts,
): { readonly uplink: Uplink; readonly vitals: BoardVitals } {
  const { config, identity, instanceId, clock, time, random, onReplaced } = deps;
  const { identity: identityPath, stateDir } = config;
  const { settings, spool, gate } = parts;
  const log = deps.log.child({ part: 'identity' });
  const credentials = new StoredCredentials({ identityPath, stateDir, identity, log, onReplaced });
  const figures = new LinkFigures();
  const files = new BoardFiles(ROOT);
  const vitals = new BoardVitals({ files, clock });
  const uplink = new Uplink({
    credentials,
    instanceId,
    time,
    config: live(() => settings.now().uplink),
    spool,
    gate,
    clock,
    log: deps.log.child({ part: 'uplink' }),
    random,
    figures,
    grantTimeoutMs: GRANT_TIMEOUT_MS,
    errands: [
      ...ownErrands(deps, parts, credentials),
      ...tellingErrands(deps, parts, { figures, vitals, files }),
    ],
  });
  return { uplink, vitals };
}

/** What keeps the device a device. */
function ownErrands(
  deps: DeviceLifeDeps,
  parts: DeviceParts,
  credentials: StoredCredentials,
): Errand[] {
  const { config, identity, clock, time, random, onRelease } = deps;
  const { identity: identityPath, stateDir } = config;
  const { bootId, mediaClock: media, gate, pushed, events } = parts;
  const log = deps.log.child({ part: 'identity' });
  const onRenewed = () => events.moment('certificate_renewed');
  return [
    new Anchoring({ clock, time, bootId, media, gate, log }),
    new Renewal({ identityPath, stateDir, credentials, time, log, random, onRenewed }),
    new ReleaseOrder({ identity, log, onRelease }),
    new Configuring({ identity, pushed, gate, log: deps.log.child({ part: 'config' }) }),
  ];
}

interface Telling {
  readonly figures: LinkFigures;
  readonly vitals: BoardVitals;
  readonly files: BoardFiles;
}

/** What is told of the device, as far as consent goes. */
function tellingErrands(
  deps: DeviceLifeDeps,
  { gate, spool, capture, snapshots }: DeviceParts,
  { figures, vitals, files }: Telling,
): Errand[] {
  const { config, serial, clock, time, journal } = deps;
  const log = deps.log.child({ part: 'uplink' });
  const { stateDir, board, health } = config;
  const { model } = board;
  const agentVersion = readVersion();
  const description = new BoardDescription({ files, model, serial, agentVersion, stateDir });
  return [
    new Info({ gate, describe: () => description.read(), log }),
    new HealthReport({
      gate,
      spool,
      figures,
      vitals: async () =>
        healthVitals({
          board: await vitals.read(),
          figures,
          frames: await capture.frames(),
          clockOffsetMs: clockOffsetMs(clock, time),
        }),
      intervalS: health.intervalS,
      log,
    }),
    new SnapshotSending(snapshots, { gate, log }),
    new JournalSender({ journal, gate, log }),
  ];
}
