// Simulated devices, in one process of their own, at a real server: stages, a stop when too many revert,
// devices that never answer, whose answer is not to be known, and that answer for another. A hundred of
// them; a thousand with TORTURE=1.
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { enrol } from '../../broker/fleet/enrolment.ts';
import {
  type Installation,
  openInstallation,
  readServerConfig,
} from '../../broker/installation.ts';
import type { IdentityBundle } from '../../proto/identity.ts';
import { fleetSpec } from '../bench/fleet.ts';
import { Fleet } from '../bench/load/fleet-load.ts';
import type { Behaviour } from '../bench/load/fleet-messages.ts';
import { House } from './house.ts';
import { eventually, FILE_TIMEOUT_MS } from './processes.ts';

t.setTimeout(FILE_TIMEOUT_MS);

const OWNER = 'owner@example.org';
const DEVICES = process.env.TORTURE === '1' ? 1000 : 100;
/** In the site `odd` three of ten revert; all others are in the site `sound`. */
const ODD = DEVICES / 10;
const SOUND = DEVICES - ODD;
const UNKNOWN = DEVICES / 50;
/** Some never answer, so each stage with one of them takes so long. */
const WAIT_S = 2;
const AT_A_TIME = 16;
/** Guards against waiting for ever; a loaded machine may take long. */
const RUN_MS = 180_000;

interface Member {
  readonly bundle: IdentityBundle;
  readonly behaviour: Behaviour;
  readonly epoch: number;
  readonly site: string;
}

interface Shown {
  readonly id: number;
  readonly state: string;
  readonly why: string | null;
  readonly counts: Readonly<Record<string, number>>;
  readonly devices: readonly {
    readonly deviceId: string;
    readonly stage: number;
    readonly version: number | null;
    readonly state: string;
    readonly detail: string;
  }[];
}

/** What the one with this number does, whether its owner shares device information, and its site. */
function planOf(index: number): { behaviour: Behaviour; isShared: boolean; site: string } {
  if (index < ODD) {
    const behaviour = index % 10 < 3 ? 'revert' : 'apply';
    return { behaviour, isShared: true, site: 'odd' };
  }
  const within = index - ODD;
  const behaviour = within === 0 ? 'silent' : within === 1 ? 'impostor' : 'apply';
  return { behaviour, isShared: within < SOUND - UNKNOWN, site: 'sound' };
}

/** What all of them share. */
interface Common {
  readonly accountId: string;
  readonly policySha256: string;
  readonly server: { readonly host: string; readonly port: number };
}

async function addMember(
  { consent, store, ...house }: Installation,
  { accountId, policySha256, server }: Common,
  index: number,
): Promise<Member> {
  const { behaviour, isShared, site } = planOf(index);
  const deps = { ...house, consent, store };
  const bundle = await enrol(deps, { accountId, name: `camera ${index}`, server });
  const device = await store.devices.byId(bundle.deviceId);
  if (!device) throw new Error('it was not added');
  const scope = isShared ? 'device_info' : 'video';
  const by = { actor: accountId, how: 'test' };
  const { epoch } = await consent.grant(device, [scope], policySha256, by);
  return { bundle, behaviour, epoch, site };
}

async function addMembers(house: House): Promise<Member[]> {
  return house.inside(async (installation) => {
    const { store, consent } = installation;
    const common: Common = {
      accountId: (await store.accounts.byEmail(OWNER))?.account_id ?? '',
      policySha256: (await consent.policy()).sha256,
      server: { host: 'localhost', port: house.mqttPort },
    };
    const members: Member[] = [];
    let next = 0;
    const adder = async (): Promise<void> => {
      for (let i = next++; i < ODD + SOUND; i = next++)
        members.push(await addMember(installation, common, i));
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, adder));
    await store.inTransaction(async ({ labels }) => {
      for (const { bundle, site } of members) await labels.set(bundle.deviceId, 'site', site);
    });
    return members;
  });
}

function fleetOf(house: House, members: readonly Member[]): Fleet {
  const victim = members.find(({ behaviour }) => behaviour === 'silent')?.bundle.deviceId ?? '';
  const [first] = members;
  const devices = members.map(({ bundle }) => ({ ...bundle, key: bundle.privateKey }));
  const spec = fleetSpec({ port: house.mqttPort, ca: first?.bundle.ca ?? '' }, devices);
  const behaving = members.map(
    ({ bundle, behaviour, epoch }) => [bundle.deviceId, { behaviour, epoch }] as const,
  );
  const consentKey = first?.bundle.consentKey ?? '';
  const configured = { devices: Object.fromEntries(behaving), consentKey, victim };
  return new Fleet({ ...spec, configured }, 1);
}

function started({ rollouts }: Installation, site: string, waitS: number): Promise<number> {
  return rollouts.start({
    ...{ patch: { video: { bitrateKbps: 900 } }, labels: [`site=${site}`] },
    ...{ stages: '1,10%,100%', stopPercent: 20, waitS, settleS: 0, actor: 'test' },
  });
}

/** Once it does not run any more. */
async function ended({ rollouts }: Installation, id: number): Promise<void> {
  await eventually(
    `the end of rollout ${id}`,
    async () => (await rollouts.show(id)).row.state !== 'running',
    RUN_MS,
  );
}

/** As the verb tells it. */
async function shown(house: House, id: number): Promise<Shown> {
  const { out } = await house.verb('rollout', 'show', String(id), '--json');
  return JSON.parse(out);
}

t.test(`${DEVICES} devices get a change in stages`, async (t) => {
  const house = await House.open(t);
  const startMs = performance.now();
  const seconds = (): string => ((performance.now() - startMs) / 1000).toFixed(1);
  const members = await addMembers(house);
  t.comment(`enrolled after ${seconds()} s`);
  const fleet = fleetOf(house, members);
  t.teardown(() => fleet.end());
  await fleet.whole(0, 120_000);
  t.comment(`connected after ${seconds()} s`);

  // As the operator's verbs have it, opened once.
  const config = await readServerConfig(house.folder, undefined);
  const operator = await openInstallation(house.folder, config);
  t.teardown(() => operator.store.close());

  await t.test('it stops by itself when three of ten revert', async (t) => {
    const id = await started(operator, 'odd', 30);
    await ended(operator, id);
    const { state, why, counts, devices } = await shown(house, id);
    t.comment(`stopped after ${seconds()} s`);
    t.equal(state, 'stopped');
    t.match(why, /^\d+ of \d+ rejected or reverted it, more than 20 %$/);
    t.ok(counts.reverted, 'reverted is told of each');
    for (const { stage, version, ...device } of devices) {
      t.equal(version === null, device.state === 'pending', `stage ${stage}: ${device.state}`);
      if (device.state === 'reverted') t.match(device.detail, /CONFIG_UNHEALTHY; no pictures came/);
    }
  });

  await t.test('it reaches all others, and says what is not known of whom', async (t) => {
    const id = await started(operator, 'sound', WAIT_S);
    await ended(operator, id);
    t.comment(`done after ${seconds()} s`);
    // On a loaded machine one may answer late, which is noted all the same.
    const wanted = { applied: SOUND - UNKNOWN - 2, silent: 2, unknown: UNKNOWN };
    await eventually(JSON.stringify(wanted), async () => {
      const { devices } = await operator.rollouts.show(id);
      const states = Object.keys(wanted).map((state) => [
        state,
        devices.filter((device) => device.state === state).length,
      ]);
      return isDeepStrictEqual(Object.fromEntries(states), wanted);
    });
    const { state, devices } = await shown(house, id);
    t.equal(state, 'done');
    const of = (behaviour: Behaviour) => {
      const member = members.find((one) => one.behaviour === behaviour);
      return devices.find(({ deviceId }) => deviceId === member?.bundle.deviceId);
    };
    t.match(of('silent'), { state: 'silent' }, 'the answer of another one does not count');
    t.match(of('impostor'), { state: 'silent' });
    await eventually('who answered for another is cut off', () => fleet.losses > 0);
    t.equal(devices.filter(({ stage }) => stage === 1).length, 1);
    t.equal(devices.filter(({ stage }) => stage === 2).length, Math.ceil(SOUND / 10) - 1);
  });
});
