// Renews the certificate in an identity file over a real connection, once, as the agent does when it is
// due: renew.ts IDENTITY STATE_DIR. Run under strace by a test.
import { KnownTime, systemClock } from '../../../agent/clock.ts';
import { StoredCredentials } from '../../../agent/identity/credentials.ts';
import { loadIdentity } from '../../../agent/identity/identity.ts';
import { Renewal } from '../../../agent/identity/renewal.ts';
import { openDeviceSession } from '../../../agent/uplink/device-session.ts';
import { silent as log } from '../consent/grants.ts';

const [identityPath = '', stateDir = ''] = process.argv.slice(2);
const identity = loadIdentity(identityPath);
const { certificateEndsAtUs } = identity;
const credentials = new StoredCredentials({
  identityPath,
  stateDir,
  identity,
  log,
  onReplaced: () => undefined,
});
const renewal = new Renewal({
  identityPath,
  stateDir,
  credentials,
  time: { nowUs: () => certificateEndsAtUs - 1e6 },
  log,
  random: () => 0,
});
const over = new AbortController();
const session = await openDeviceSession(
  {
    identity,
    instanceId: '0123456789abcdef0123456789abcdef',
    keepaliveS: 60,
    connectTimeoutMs: 10_000,
    ackTimeoutMs: 10_000,
    time: new KnownTime(systemClock, 0),
    onMessage: (noun, payload) => {
      if (noun === 'certificate') renewal.receive(payload);
    },
  },
  over.signal,
);
const line = { publish: session.publish, reconnect: () => undefined };
await renewal.run(line, over.signal);
await session.close();
