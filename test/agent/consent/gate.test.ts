// The gate: what opens it, what closes it, and in which order.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { signGrant } from '../../../proto/grant.ts';
import { DEVICE, grant, makeGate, SimulatedClock, stranger } from './grants.ts';

t.test('without a grant the cap is on', async (t) => {
  const { gate } = makeGate(t.testdir());
  t.equal(gate.permit(), null);
  t.notOk(gate.mayKeep({ epoch: 1, scopes: ['video'] }));
});

t.test('a grant for pictures takes the cap off, without sound', async (t) => {
  const { gate } = makeGate(t.testdir());
  t.same(gate.accept(grant(3, ['video'])), { outcome: 'applied', epoch: 3 });
  t.match(gate.permit(), { epoch: 3, audio: false });
  t.ok(gate.mayKeep({ epoch: 3, scopes: ['video'] }));
  t.notOk(gate.mayKeep({ epoch: 2, scopes: ['video'] }), 'nothing from before the consent');
  t.notOk(gate.mayKeep({ epoch: 3, scopes: ['video', 'audio'] }));
});

t.test('a grant for sound alone does not open the gate', async (t) => {
  const { gate } = makeGate(t.testdir());
  gate.accept(grant(1, ['audio', 'device_info']));
  t.equal(gate.permit(), null);
});

t.test(
  'what is not a grant for this device, signed by the pinned key, changes nothing',
  async (t) => {
    const { gate } = makeGate(t.testdir());
    const content = {
      deviceId: DEVICE,
      epoch: 9,
      granted: new Map([['video', 1]] as const),
      policySha256: new Uint8Array(32),
      issuedAtUs: 1,
      leaseS: 60,
      infoFields: [],
    };
    const valid = grant(9, ['video']);
    const flipped = Uint8Array.from(valid);
    flipped.set([(flipped[8] ?? 0) ^ 1], 8);
    for (const payload of [
      signGrant(content, stranger.privateKey),
      grant(9, ['video'], { deviceId: 'cam-aaaaaaaaaaaaaaaa' }),
      flipped,
      valid.subarray(0, 40),
      new Uint8Array(0),
      new Uint8Array(5000).fill(255),
    ])
      t.same(gate.accept(payload), { outcome: 'ignored' });
    t.equal(gate.permit(), null);
  },
);

t.test(
  'an older epoch is ignored, also when its scopes were wider and the newest are none',
  async (t) => {
    const dir = t.testdir();
    const { gate, clock } = makeGate(dir);
    gate.accept(grant(4, ['video', 'audio']));
    gate.accept(grant(5, []));
    t.equal(gate.permit(), null);
    t.same(gate.accept(grant(4, ['video', 'audio'])), { outcome: 'ignored' });
    t.equal(gate.permit(), null);
    const again = makeGate(dir, clock).gate;
    t.same(again.accept(grant(4, ['video'])), { outcome: 'ignored' }, 'nor after a restart');
    t.same(again.accept(grant(5, ['video'])), { outcome: 'ignored' }, 'nor other scopes');
    t.equal(again.permit(), null);
  },
);

t.test('a permit outlives a widening and a renewal', async (t) => {
  const { gate, retained } = makeGate(t.testdir());
  gate.accept(grant(1, ['video']));
  const permit = gate.permit();
  t.equal(retained.splice(0).length, 1, 'what an earlier run left is judged by the first grant');
  gate.accept(grant(1, ['video']));
  gate.accept(grant(2, ['video', 'device_info'], {}, { video: 1 }));
  t.equal(gate.permit(), permit);
  t.notOk(permit?.revoked.aborted);
  t.ok(gate.mayKeep({ epoch: 1, scopes: ['video'] }));
  t.same(retained, []);
});

t.test(
  'sound that is added gives a new permit and leaves the old one to end in order',
  async (t) => {
    const { gate } = makeGate(t.testdir());
    gate.accept(grant(1, ['video']));
    const before = gate.permit();
    gate.accept(grant(2, ['video', 'audio'], {}, { video: 1 }));
    t.match(gate.permit(), { epoch: 2, audio: true });
    t.notOk(before?.revoked.aborted);
    gate.accept(grant(3, []));
    t.ok(before?.revoked.aborted, 'a withdrawal ends it all the same');
  },
);

t.test('a withdrawal of sound revokes the permit with sound at once', async (t) => {
  const { gate, retained } = makeGate(t.testdir());
  gate.accept(grant(1, ['video', 'audio']));
  const before = gate.permit();
  gate.accept(grant(2, ['video'], {}, { video: 1 }));
  t.ok(before?.revoked.aborted);
  t.match(gate.permit(), { epoch: 1, audio: false });
  t.equal(retained.length, 2, 'once for what an earlier run left, once now');
  t.ok(gate.mayKeep({ epoch: 1, scopes: ['video'] }));
  t.notOk(gate.mayKeep({ epoch: 1, scopes: ['video', 'audio'] }));
});

t.test('a withdrawal is obeyed before it is saved, and what waits is erased', async (t) => {
  const dir = t.testdir();
  const seen: string[] = [];
  const { gate } = makeGate(dir, new SimulatedClock(), () => seen.push('erased'));
  gate.accept(grant(1, ['video']));
  seen.splice(0);
  const before = readFileSync(join(dir, 'grant'));
  gate.permit()?.revoked.addEventListener('abort', () => {
    seen.push(readFileSync(join(dir, 'grant')).equals(before) ? 'revoked' : 'saved too early');
    t.equal(gate.permit(), null);
  });
  gate.accept(grant(2, []));
  t.same(seen, ['revoked', 'erased']);
  t.notSame(readFileSync(join(dir, 'grant')), before);
});

t.test('epochs that were missed interrupt only what they interrupted', async (t) => {
  const { gate } = makeGate(t.testdir());
  gate.accept(grant(1, ['video', 'audio']));
  gate.accept(grant(4, ['video', 'audio'], {}, { video: 1, audio: 3 }));
  t.ok(gate.mayKeep({ epoch: 1, scopes: ['video'] }));
  t.notOk(gate.mayKeep({ epoch: 1, scopes: ['video', 'audio'] }));
});

t.test('what was withdrawn and granted again meanwhile counts as interrupted', async (t) => {
  const { gate } = makeGate(t.testdir());
  gate.accept(grant(1, ['video']));
  const before = gate.permit();
  gate.accept(grant(3, ['video']));
  t.ok(before?.revoked.aborted);
  t.match(gate.permit(), { epoch: 3 });
  t.notOk(gate.mayKeep({ epoch: 1, scopes: ['video'] }));
});

t.test('a restart takes up the saved grant with what it knew', async (t) => {
  const dir = t.testdir();
  const { gate, clock } = makeGate(dir);
  gate.accept(grant(1, ['video']));
  gate.accept(grant(2, ['video', 'audio'], {}, { video: 1 }));
  clock.advance(60);
  clock.mono = 1;
  const again = makeGate(dir, clock).gate;
  t.match(again.permit(), { epoch: 2, audio: true });
  t.ok(again.mayKeep({ epoch: 1, scopes: ['video'] }));
  t.notOk(again.mayKeep({ epoch: 1, scopes: ['video', 'audio'] }));
});

t.test(
  'a saved grant does not hold when its lease ran out or the clock was set back',
  async (t) => {
    const dir = t.testdir();
    makeGate(dir).gate.accept(grant(2, ['video']));
    for (const seconds of [3600, 1e9, -1, -1e9]) {
      const clock = new SimulatedClock();
      clock.wall += seconds * 1e6;
      const { gate } = makeGate(dir, clock);
      t.equal(gate.permit(), null, `${seconds} s`);
      t.same(gate.accept(grant(1, ['video'])), { outcome: 'ignored' }, 'the epoch is known still');
      t.same(gate.accept(grant(2, ['video'])), { outcome: 'applied', epoch: 2 });
      t.match(gate.permit(), { epoch: 2 });
      makeGate(dir, new SimulatedClock()).gate.accept(grant(2, ['video']));
    }
  },
);

t.test('the lease runs on the monotonic clock, and its end revokes', async (t) => {
  const { gate, clock } = makeGate(t.testdir());
  gate.accept(grant(1, ['video']));
  const permit = gate.permit();
  clock.wall -= 1e12;
  t.equal(gate.permit(), permit, 'a step of the wall clock changes nothing');
  clock.mono += 3599e6;
  t.equal(gate.permit(), permit);
  clock.mono += 1e6;
  t.equal(gate.permit(), null);
  t.ok(permit?.revoked.aborted);
  t.notOk(gate.maySend({ epoch: 1, scopes: ['video'] }));
  t.ok(gate.mayKeep({ epoch: 1, scopes: ['video'] }), 'what was consented to is kept');
  gate.accept(grant(1, ['video']));
  t.match(gate.permit(), { epoch: 1 });
});

t.test('the end of the lease is noticed without being asked', async (t) => {
  const { gate, clock } = makeGate(t.testdir());
  const real = { start: process.hrtime.bigint(), mono: clock.mono };
  clock.monoUs = () => real.mono + Number((process.hrtime.bigint() - real.start) / 1000n);
  const stop = new AbortController();
  const running = gate.run(stop.signal);
  gate.accept(grant(1, ['video'], { leaseS: 1 }));
  const permit = gate.permit();
  t.ok(permit);
  t.equal(await gate.other(permit, AbortSignal.timeout(5000)), null);
  t.ok(permit?.revoked.aborted);
  stop.abort();
  await running;
});

t.test(
  'flash is written for a renewal only when it lengthens the saved lease noticeably',
  async (t) => {
    const dir = t.testdir();
    const { gate, clock } = makeGate(dir);
    gate.accept(grant(1, ['video']));
    const saved = () => readFileSync(join(dir, 'grant')).toString('hex');
    const before = saved();
    clock.advance(100);
    t.same(gate.accept(grant(1, ['video'])), { outcome: 'applied', epoch: 1 });
    t.equal(saved(), before);
    clock.advance(51);
    gate.accept(grant(1, ['video']));
    t.not(saved(), before);
    clock.advance(3599);
    t.match(gate.permit(), { epoch: 1 }, 'what was not saved is obeyed all the same');
  },
);

t.test('a grant signed earlier under the same epoch does not renew the lease', async (t) => {
  const { gate, clock } = makeGate(t.testdir());
  gate.accept(grant(1, ['video']));
  clock.advance(3000);
  gate.accept(grant(1, ['video'], { issuedAtUs: 5 }));
  clock.advance(601);
  t.equal(gate.permit(), null);
});

t.test('waiting for another permit can be given up', async (t) => {
  const { gate } = makeGate(t.testdir());
  const stop = new AbortController();
  const waiting = gate.other(null, stop.signal);
  stop.abort();
  await t.rejects(waiting, { name: 'AbortError' });
  const found = gate.other(null, new AbortController().signal);
  gate.accept(grant(1, ['video']));
  t.match(await found, { epoch: 1 });
});

t.test('a widening that cannot be saved is not obeyed until it can', async (t) => {
  const dir = t.testdir({ state: {} });
  const state = join(dir, 'state');
  const { gate } = makeGate(state);
  renameSync(state, join(dir, 'away'));
  writeFileSync(state, '');
  t.same(gate.accept(grant(1, ['video'])), { outcome: 'unsaved', epoch: 1 });
  t.equal(gate.permit(), null);
  renameSync(state, join(dir, 'file'));
  mkdirSync(state);
  t.same(gate.accept(grant(1, ['video'])), { outcome: 'applied', epoch: 1 });
  t.ok(gate.permit());
});

t.test('a withdrawal that cannot be saved is obeyed, and survives a restart', async (t) => {
  const dir = t.testdir();
  const { gate } = makeGate(dir);
  gate.accept(grant(1, ['video', 'audio']));
  mkdirSync(join(dir, 'grant.new'));
  t.same(gate.accept(grant(2, ['video'], {}, { video: 1 })), { outcome: 'unsaved', epoch: 2 });
  t.match(gate.permit(), { audio: false });
  t.same(gate.accept(grant(1, ['video', 'audio'])), { outcome: 'ignored' }, 'no way back');
  t.notOk(existsSync(join(dir, 'grant')), 'the wider grant is gone');
  t.equal(makeGate(dir).gate.permit(), null);
});

t.test('a withdrawal is not confirmed before all of what waited is erased', async (t) => {
  let isErasable = true;
  const { gate } = makeGate(t.testdir(), new SimulatedClock(), () => isErasable);
  gate.accept(grant(1, ['video']));
  isErasable = false;
  t.same(gate.accept(grant(2, [])), { outcome: 'unsaved', epoch: 2 });
  t.equal(gate.permit(), null);
  t.same(gate.accept(grant(2, [])), { outcome: 'unsaved', epoch: 2 });
  isErasable = true;
  t.same(gate.accept(grant(2, [])), { outcome: 'applied', epoch: 2 });
});

t.test('what a policy names of the device no longer is erased and told no more', async (t) => {
  const dir = t.testdir();
  const { gate, clock, retained } = makeGate(dir);
  t.equal(gate.knownEpoch(), null);
  const health = { epoch: 1, scopes: ['device_info'], part: 'health' } as const;
  const infoFields = ['model', 'health'] as const;
  gate.accept(grant(1, ['device_info'], { infoFields }));
  t.same(gate.infoFields(), infoFields);
  t.ok(gate.mayKeep(health));
  const before = retained.length;
  const since = { device_info: 1 };
  gate.accept(grant(2, ['device_info'], { infoFields: ['model', 'storage'] }, since));
  t.equal(retained.length, before + 1);
  t.same(gate.infoFields(), ['model', 'storage']);
  t.notOk(gate.mayKeep(health));
  t.ok(gate.mayKeep({ epoch: 1, scopes: ['device_info'] }));
  clock.advance(4000);
  t.same([gate.infoFields(), gate.knownEpoch()], [[], 2], 'the lease ran out, the consent lasts');
  mkdirSync(join(dir, 'grant.new'));
  gate.accept(grant(3, ['device_info'], { infoFields: ['storage'] }, since));
  t.notOk(existsSync(join(dir, 'grant')), 'and the wider grant does not outlive a full disk');
});

t.test('a renewal with a shorter lease holds after a restart as well', async (t) => {
  const stateDir = t.testdir();
  const { gate, clock } = makeGate(stateDir);
  gate.accept(grant(1, ['video'], { leaseS: 36_000 }));
  gate.accept(grant(1, ['video'], { leaseS: 60 }));
  clock.advance(61);
  t.equal(gate.permit(), null);
  t.equal(makeGate(stateDir, clock).gate.permit(), null);
});
