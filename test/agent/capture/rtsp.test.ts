// Network cameras: a real RTSP server, its codecs and its passwords.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { camera, decodeErrors, packets, type Recording, rtsp } from './harness.ts';

t.jobs = 2;

async function playsAlone(t: Test, recording: Recording, count: number): Promise<void> {
  const dir = t.testdirName;
  mkdirSync(dir, { recursive: true });
  await recording.until(`${count} segments`, () => recording.segments.length >= count);
  await recording.stop();
  for (const index of recording.segments.keys()) {
    const path = await recording.write(dir, index);
    t.equal(await decodeErrors(path), '', `segment ${index} decodes`);
    t.match((await packets(path, 'v', 'flags'))[0]?.[0], /^K/);
  }
  t.strictSame(recording.gaps, []);
}

t.test('H.264 and AAC over TCP pass through', async (t) => {
  const recording = rtsp((await camera(t)).url);
  await playsAlone(t, recording, 2);
  t.match(recording.log, /"video":"passthrough","audio":"passthrough"/);
  t.match(recording.streams[0]?.tracks, [{ width: 320, height: 240 }, { codec: 'mp4a.40.2' }]);
});

t.test('MJPEG and G.711 over UDP are converted', async (t) => {
  const { url } = await camera(t, '--video', 'jpeg', '--audio', 'pcma');
  const recording = rtsp(url, { transport: 'udp' });
  await playsAlone(t, recording, 2);
  t.match(recording.streams[0]?.tracks, [{ codec: /^avc1/, width: 160 }, { codec: 'mp4a.40.2' }]);
});

t.test('a camera with a password and without sound', async (t) => {
  const { url } = await camera(t, '--audio', 'none', '--digest', 'me:pass:word');
  const credentialsFile = join(t.testdir(), 'credentials');
  writeFileSync(credentialsFile, 'me:pass:word\n', { mode: 0o600 });
  const recording = rtsp(url, { credentialsFile });
  await playsAlone(t, recording, 2);
  t.strictSame(recording.streams[0]?.scopes, ['video']);
  t.notMatch(recording.log, /pass:word/);
});

t.test(
  'a wrong password, none, and one that others can read are CAPTURE_UNAUTHORIZED',
  async (t) => {
    const { url } = await camera(t, '--digest', 'me:right');
    const wrong = join(t.testdir({ wrong: 'me:not-this\n', open: 'me:right\n' }), 'wrong');
    const open = join(t.testdirName, 'open');
    chmodSync(wrong, 0o600);
    chmodSync(open, 0o644);
    const missing = join(t.testdirName, 'missing');
    for (const options of [
      { credentialsFile: wrong },
      {},
      { credentialsFile: open },
      { credentialsFile: missing },
    ]) {
      const recording = rtsp(url, options);
      await recording.until('the error', () => recording.log.includes('"waitMs"'));
      await recording.stop();
      t.match(recording.gaps, [{ reason: 'source_lost', code: 'CAPTURE_UNAUTHORIZED' }]);
      t.notMatch(recording.log, /not-this|right/);
      t.match(recording.log, /credentialsFile|no such file/);
    }
  },
);
