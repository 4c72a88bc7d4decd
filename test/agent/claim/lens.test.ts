// Setup codes held before the lens: in all the ways that people hold them, beside other codes, and
// before cameras that break.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { LenscapError } from '../../../proto/errors.ts';
import { encodeLabelCode, qrText } from '../../../proto/setup-code.ts';
import { childPids, isAlive } from '../capture/children.ts';
import { camera, never } from '../capture/harness.ts';
import { clip, look, newCode } from './shown.ts';

/** Longer than a child takes to start, and a film to end. */
const BEGUN_AGAIN_S = 2.5;
const claimed = () => 'claimed' as const;
const film = (path: string, loop = true) => ({ type: 'file', path, loop }) as const;

t.test('a code is read however it is held, and claims the board', async (t) => {
  for (const { name, filter, size } of [
    { name: 'small', filter: 'scale=170:-1', size: '1280x720' },
    {
      name: 'turned',
      filter: 'rotate=15*PI/180:c=gray:ow=rotw(0.27):oh=roth(0.27)',
      size: '1280x720',
    },
    {
      name: 'upside-down-and-dim',
      filter: 'rotate=PI,eq=contrast=0.35:brightness=-0.2',
      size: '640x480',
    },
    { name: 'blurred-and-noisy', filter: 'gblur=sigma=1.5,noise=alls=15:allf=t', size: '1280x720' },
    { name: 'before-a-camera-of-4K', filter: 'scale=1000:-1', size: '3840x2160' },
  ]) {
    const code = newCode();
    const path = await clip(t.testdir(), [qrText(code)], { name, filter, size });
    const watching = look(film(path), claimed);
    await watching.ended;
    t.match(watching.offers, [{ code, from: 'lens' }], name);
    t.equal(watching.offers.length, 1, 'offered once');
    t.strictSame(childPids(), [], 'the camera is free');
    t.notOk(watching.log().includes(code.slice(0, 11)), 'no code in the log');
  }
});

t.test('a code is read through a network camera with a password, which is not told', async (t) => {
  const dir = t.testdir({});
  const code = newCode();
  const path = await clip(dir, [qrText(code)]);
  const credentialsFile = join(dir, 'credentials');
  writeFileSync(credentialsFile, 'me:canary-password\n', { mode: 0o600 });
  const wrongFile = join(dir, 'wrong');
  writeFileSync(wrongFile, 'me:canary-wrong\n', { mode: 0o600 });
  const served = ['--file', path, '--audio', 'none', '--digest', 'me:canary-password'];
  const { url } = await camera(t, ...served);
  const network = { type: 'rtsp', url, transport: 'tcp', latencyMs: 100 } as const;
  const refused = look({ ...network, credentialsFile: wrongFile }, claimed);
  await refused.says(/CAPTURE_UNAUTHORIZED/);
  await refused.stop();
  const watching = look({ ...network, credentialsFile }, claimed);
  await watching.ended;
  t.match(watching.offers, [{ code }]);
  t.notMatch(refused.log() + watching.log(), /canary/);
});

t.test('a QR code of something else is told of once, without what it says', async (t) => {
  const canary = 'WIFI:T:WPA;S:canary-net;P:canary-psk;;';
  const watching = look(film(await clip(t.testdir(), [canary])), claimed);
  await watching.says(/of something else/);
  await watching.until('the film has begun again', () => seconds(watching.log()) > BEGUN_AGAIN_S);
  await watching.stop();
  t.strictSame(watching.offers, []);
  t.equal(watching.log().split('of something else').length, 2);
  t.notMatch(watching.log(), /canary|WIFI/);
});

/** From the first line of a log to now. */
function seconds(log: string): number {
  return (Date.now() - Number(/"time":(\d+)/.exec(log)?.[1])) / 1000;
}

t.test('a code is found beside one of something else', async (t) => {
  const code = newCode();
  const path = await clip(t.testdir(), ['https://example.org/', qrText(code)]);
  const watching = look(film(path), claimed);
  await watching.ended;
  t.match(watching.offers, [{ code }]);
});

t.test('of two codes both are tried, one at a time, and a refused one only once', async (t) => {
  const codes = [newCode(), newCode()];
  const path = await clip(t.testdir(), codes.map(qrText), { filter: 'scale=1000:-1' });
  let busy = 0;
  const watching = look(film(path), async () => {
    busy += 1;
    t.equal(busy, 1, 'one at a time');
    await new Promise((resolve) => setTimeout(resolve, 300));
    busy -= 1;
    return 'refused' as const;
  });
  await watching.until('both', () => watching.offers.length >= 2);
  await watching.until('the film has begun again', () => seconds(watching.log()) > BEGUN_AGAIN_S);
  await watching.stop();
  t.strictSame(watching.offers.map(({ code }) => code).sort(), codes.sort());
});

t.test('a code that was held up once is tried again while the server is away', async (t) => {
  const code = newCode();
  const path = await clip(t.testdir(), [qrText(code)]);
  const watching = look(film(path, false), (_, count) => (count < 3 ? 'retry' : 'claimed'));
  await watching.ended;
  t.strictSame(
    watching.offers.map((offer) => offer.code),
    [code, code, code],
  );
  const [first = never('no offer'), second = never('no second offer')] = watching.offers;
  t.ok(second.atMs - first.atMs >= 4900, 'after a pause');
  t.match(watching.log(), /the source came to its end/);
});

t.test('a code with a fault in it is said to be faulty, once', async (t) => {
  const code = newCode();
  const wrong = code.replace(/(?<=^.{8})./, (one) => (one === '0' ? '1' : '0'));
  const label = encodeLabelCode({ serial: 'SN-1', keyFingerprint: Buffer.alloc(32, 7) });
  for (const text of [wrong, label]) {
    const watching = look(film(await clip(t.testdir(), [qrText(text)])), claimed);
    await watching.says(/hold it closer and steadier/);
    await watching.until('the film has begun again', () => seconds(watching.log()) > BEGUN_AGAIN_S);
    await watching.stop();
    t.strictSame(watching.offers, []);
    t.match(watching.log(), /CODE_INVALID/);
    t.equal(watching.log().split('steadier').length, 2);
    t.notOk(watching.log().includes(text.slice(0, 11)));
  }
});

t.test('a camera that is missing is named once, and tried again', async (t) => {
  for (const source of [
    { type: 'v4l2', device: '/dev/video99', format: 'raw' },
    { type: 'v4l2', device: '/dev/video99', format: 'mjpeg' },
    { type: 'v4l2', device: '/dev/video99', format: 'h264' },
    { type: 'libcamera', camera: 'none such' },
    { type: 'file', path: '/nowhere/film.mp4', loop: true },
  ] as const) {
    const watching = look(source, claimed);
    const attempts = () => watching.log().split('no setup code can be held').length - 1;
    await watching.until('a second attempt', () => attempts() >= 2);
    await watching.stop();
    t.equal(watching.log().split('"level":40').length, 2, `${source.type}: one warning`);
    t.match(watching.log(), /CAPTURE_NO_SOURCE.*check /, source.type);
    t.strictSame(childPids(), []);
  }
});

t.test('a child that crashes, hangs or talks nonsense is replaced', async (t) => {
  const code = newCode();
  const path = await clip(t.testdir(), [qrText(code)]);
  let mayClaim = false;
  const watching = look(film(path), () => (mayClaim ? 'claimed' : 'retry'));
  await watching.until('an offer', () => watching.offers.length > 0);
  const [first = never('no child')] = childPids();
  process.kill(first, 'SIGKILL');
  await watching.says(/ended by SIGKILL/);
  await watching.until('another child', () => childPids().some((pid) => pid !== first));
  await watching.says(/gives pictures again/);
  const [second = never('no child')] = childPids();
  process.kill(second, 'SIGSTOP');
  await watching.says(/CAPTURE_STALLED/);
  await watching.until('a third', () => childPids().some((pid) => pid !== second));
  t.notOk(isAlive(second));
  mayClaim = true;
  await watching.ended;
  t.strictSame(childPids(), []);

  const lie = encodeURIComponent('process.send({ kind: "barcode", text: 7 })');
  const preload = `data:text/javascript,${lie}`;
  const childEnv = { NODE_OPTIONS: `--import=${preload}` };
  const lying = look(film(path), claimed, { childEnv });
  await lying.says(/what is no report/);
  await lying.stop();
  t.strictSame(lying.offers, []);
});

t.test('a stop at any moment ends at once and leaves no child', async (t) => {
  const path = await clip(t.testdir(), [qrText(newCode())]);
  for (let waitMs = 0; waitMs <= 900; waitMs += 300) {
    const watching = look(film(path), () => new Promise(() => undefined));
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    const beginMs = performance.now();
    await watching.stop();
    t.ok(performance.now() - beginMs < 500);
    t.strictSame(childPids(), []);
  }
});

t.test(
  'the light shines before the camera is opened; without it the camera is closed',
  async (t) => {
    const shown: string[] = [];
    let isBroken = true;
    const show = async (state: string) => {
      shown.push(`${state}, ${childPids().length} open`);
      if (isBroken && state !== 'off') throw new LenscapError('LIGHT_FAILED', 'no such light');
    };
    const path = await clip(t.testdir(), ['https://example.org/']);
    const backoff = { backoffMinMs: 10, backoffMaxMs: 10 };
    const watching = look(film(path), never, { light: { show }, over: { capture: backoff } });
    await watching.says(/LIGHT_FAILED/);
    t.same(childPids(), []);
    t.ok(shown.every((said) => said === 'breathing, 0 open'));
    isBroken = false;
    await watching.says(/QR code of something else/);
    t.equal(childPids().length, 1);
    t.equal(shown.at(-1), 'breathing, 0 open');
    isBroken = true;
    watching.closeInTheDark();
    await watching.until('closed, and not opened again', () => shown.length > 4);
    t.same(childPids(), []);
    await watching.stop();
    t.ok(shown.includes('off, 0 open'), 'dark only when it is closed');
  },
);
