// What a camera sends, given to a real collector: each message until it is stored, as a camera does.
import { pino } from 'pino';
import { Collector } from '../../../broker/collector/collector.ts';
import { GroupCommit } from '../../../broker/collector/group-commit.ts';
import { ConsentGate } from '../../../broker/consent/gate.ts';
import type { Store } from '../../../broker/store/store.ts';
import { LenscapError, toLenscapError } from '../../../proto/errors.ts';

/** What is sent, by a device that may record video and take snapshots. */
export interface Asked {
  readonly deviceId: string;
  readonly accountId: string;
  /** What is sent together, group after group. */
  readonly groups: readonly (readonly Message[])[];
}

export interface Message {
  readonly noun: 'stream' | 'segment' | 'gap' | 'event' | 'snapshot';
  readonly name: string;
  /** Hex. */
  readonly payload: string;
}

const MAX_TURNS = 10;

/** Sends all. `say` hears of each answer at once: `acked NAME` or `refused CODE`. */
export async function takeAll(
  store: Store,
  { deviceId, accountId, groups }: Asked,
  say: (line: string) => void,
): Promise<void> {
  const gate = new ConsentGate();
  gate.set(deviceId, (await store.consent.standing(deviceId)).granted);
  const nowUs = (): number => Date.now() * 1000;
  const collector = new Collector({
    ...store,
    consent: { infoInForce: async () => ({ epoch: 0, parts: [] }) },
    toldListeners: [],
    gate,
    groups: new GroupCommit({ ...store, minFreeBytes: 0 }),
    nowUs,
    log: pino({ level: 'silent' }),
  });
  const take = async ({ noun, name, payload }: Message): Promise<boolean> => {
    const sender = { deviceId, accountId };
    const reply = await collector
      .take(sender, noun, Buffer.from(payload, 'hex'))
      .catch((error: unknown) => toLenscapError(error));
    if (reply instanceof LenscapError) say(`refused ${reply.code}`);
    else if (typeof reply === 'object') say(`refused ${reply.verdict.code}`);
    else say(`acked ${name}`);
    return reply === 'stored';
  };
  for (const group of groups) {
    let waiting = group;
    for (let turn = 0; turn < MAX_TURNS && waiting.length > 0; turn++) {
      const taken = await Promise.all(waiting.map(take));
      waiting = waiting.filter((_, position) => !taken[position]);
    }
  }
}
