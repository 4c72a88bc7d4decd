// The connection of a device with all that is settled over it, made and joined.

import { describeBoard } from './board/description.ts';
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
  const vitals = new BoardVitals({ root: ROOT, clock });
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
      ...tellingErrands(deps, parts, { figures, vitals }),
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

/** What is told of the device, as far as consent goes. */
function tellingErrands(
  deps: DeviceLifeDeps,
  { gate, spool, capture, snapshots }: DeviceParts,
  { figures, vitals }: { readonly figures: LinkFigures; readonly vitals: BoardVitals },
): Errand[] {
  const { config, serial, clock, time, journal } = deps;
  const log = deps.log.child({ part: 'uplink' });
  const { stateDir, board, health } = config;
  const agentVersion = readVersion();
  return [
    new Info({
      gate,
      describe: () =>
        describeBoard({ root: ROOT, model: board.model, serial, agentVersion, stateDir }),
      log,
    }),
    new HealthReport({
      gate,
      spool,
      figures,
      vitals: async () =>
        healthVitals({
          board: await vitals.read(),
          figures,
          frames: capture.figures(),
          clockOffsetMs: clockOffsetMs(clock, time),
        }),
      intervalS: health.intervalS,
      log,
    }),
    new SnapshotSending(snapshots, { gate, log }),
    new JournalSender({ journal, gate, log }),
  ];
}
