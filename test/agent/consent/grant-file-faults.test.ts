// The saved grant under faults at any call: afterwards the old grant or the new one is read, never a
// mixture, never an exception; and what failed can be done again.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  encodeGrantFile,
  readGrantFile,
  writeGrantFile,
} from '../../../agent/consent/grant-file.ts';
import { DISK_FULL, everyFault, type Fault, IO_ERROR, KILL } from '../spool/faults.ts';
import { grant, makeGate } from './grants.ts';

const receivedAtUs = 1_800_000_000_000_000;
const before = { receivedAtUs, payload: grant(1, ['video']) };
const behind = { receivedAtUs, payload: grant(2, ['video', 'audio']) };
const EPOCHS = new Map([
  [Buffer.from(before.payload).toString('hex'), 1],
  [Buffer.from(behind.payload).toString('hex'), 2],
]);

function epochIn(state: string): number | undefined {
  return EPOCHS.get(Buffer.from(readGrantFile(state)?.payload ?? []).toString('hex'));
}

/** Saves the second grant over the first with the fault; returns what was read after each run. */
async function saving(t: Test, fault: Fault, code: string): Promise<Set<number>> {
  const dir = t.testdir({ behind: encodeGrantFile(behind) });
  const state = join(dir, 'state');
  const program = {
    paths: [state, join(state, 'grant'), join(state, 'grant.new')],
    script: new URL('./write-grant.ts', import.meta.url).pathname,
    args: [state, join(dir, 'behind')],
    prepare: () => {
      rmSync(state, { recursive: true, force: true });
      mkdirSync(state);
      writeFileSync(join(state, 'grant'), encodeGrantFile(before));
    },
  };
  const epochs = new Set<number>();
  await everyFault(t, fault, program, async (ended, place) => {
    const epoch = epochIn(state);
    t.ok(epoch, `${place}: grant ${epoch}`);
    epochs.add(epoch ?? 0);
    t.same(makeGate(state).gate.permit()?.epoch, epoch, 'and it is in force');
    if (fault === KILL) t.not(ended.code, 0);
    // Removing what is left over of an earlier save may fail where nothing is left over.
    else if (ended.code !== 0) t.equal(ended.out, `${code}\n`);
    writeGrantFile(state, behind);
    t.equal(epochIn(state), 2);
    t.same(readdirSync(state), ['grant']);
    t.ok(readFileSync(join(state, 'grant')).equals(encodeGrantFile(behind)));
  });
  return epochs;
}

t.test('after a kill at any call the old grant or the new one is in force', async (t) => {
  const epochs = await saving(t, KILL, '');
  t.ok(epochs.size > 0, `grants ${[...epochs].join()} were found`);
});

t.test('after an error of the disk at any call', async (t) => {
  await saving(t, IO_ERROR, 'STORE_FAILED');
});

t.test('after a full disk at any call', async (t) => {
  await saving(t, DISK_FULL, 'STORE_FULL');
});
