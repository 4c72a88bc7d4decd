// The demo behind `make run`: real server, real agent, a demo owner; one line that moves. Ends what it
// started, in order. With --seconds it ends by itself and checks what it stored.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../free-port.ts';
import { type Options, readOptions } from './options.ts';
import { type DeviceState, Owner } from './owner.ts';
import { Background, COMPILE_CACHE, runVerb } from './processes.ts';

const SEGMENT_MS = 2000;
const STICK = 'stick';
const IDENTITY = 'identity.json';
const FIRST_SEGMENT_TIMEOUT_S = 60;
const CLAIM_TIMEOUT_S = 30;
const startedAtMs = performance.timeOrigin;

interface House {
  readonly email: string;
  readonly password: string;
}

interface Address {
  readonly mqttPort: number;
  readonly httpUrl: string;
}

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());

/**
 * The demo's owner: made on the first run on a folder, known on the next. Made by the code of the
 * operator's verb in this process, which spares a start of Node.
 */
async function settle(folder: string): Promise<House> {
  const known = join(folder, 'demo.json');
  if (existsSync(known)) return JSON.parse(await readFile(known, 'utf8'));
  enableCompileCache(COMPILE_CACHE);
  const { addAccount, withInstallation } = await import('../../broker/operator.ts');
  const { readServerConfig } = await import('../../broker/installation.ts');
  const config = await readServerConfig(folder, undefined);
  const house = { email: 'owner@demo.invalid', password: randomBytes(12).toString('base64url') };
  await withInstallation(
    folder,
    config,
    (installation) => addAccount(installation, house.email, house.password),
    { mayMake: true },
  );
  await writeFile(known, JSON.stringify(house), { mode: 0o600 });
  return house;
}

async function writeConfigs(folder: string, { source }: Options): Promise<void> {
  const server = { mqtt: { port: await freePort() }, http: { port: 0 }, metrics: { port: 0 } };
  const config = join(folder, 'config.json');
  if (!existsSync(config)) await writeFile(config, JSON.stringify(server));
  const agent = {
    identity: join(folder, IDENTITY),
    stateDir: join(folder, 'agent'),
    // The demo's stick; its lens shows the clip, in which no code is held up.
    claim: { lens: false, folders: [join(folder, STICK)] },
    source: source.config,
    audio: { source: source.audio },
    segment: { durationMs: SEGMENT_MS },
  };
  await writeFile(join(folder, 'agent.json'), JSON.stringify(agent, null, 2));
}

async function listening(folder: string, server: Background): Promise<Address> {
  const file = join(folder, 'run', 'server.json');
  for (;;) {
    if (server.hasEnded) throw new Error(`the server did not start:\n${server.logTail()}`);
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text !== '') return JSON.parse(text);
    await sleep(20, undefined, { signal: stop.signal });
  }
}

/** One line on a terminal; a line every five seconds elsewhere. */
function status(line: string, elapsedS: number): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${line}`);
  else if (Math.round(elapsedS) % 5 === 0) say(line);
}

const elapsedS = (): number => (performance.timeOrigin + performance.now() - startedAtMs) / 1000;

function describe(device: DeviceState): string {
  const behindS = device.lastSegmentEndAt
    ? Math.max(0, (Date.now() - Date.parse(device.lastSegmentEndAt)) / 1000)
    : undefined;
  const behind = behindS === undefined ? 'nothing stored yet' : `${behindS.toFixed(1)} s behind`;
  const megabytes = (device.bytes / 1e6).toFixed(2);
  return `cap ${device.cap} · ${device.segments} segments · ${megabytes} MB · ${behind}`;
}

/** Gives the board to the demo owner in the way of every owner: by a setup code, here on a stick. */
async function claim(owner: Owner, agent: Background, folder: string): Promise<void> {
  const { claimId, code } = await owner.newClaim('demo camera');
  say(`code:    ${code}`);
  await mkdir(join(folder, STICK), { recursive: true });
  await writeFile(join(folder, STICK, 'lenscap-claim.txt'), `${code}\n`);
  while (!(await owner.isClaimed(claimId))) {
    if (agent.hasEnded) throw new Error(`the agent ended:\n${agent.logTail()}`);
    if (elapsedS() > CLAIM_TIMEOUT_S)
      throw new Error(`the camera was not claimed; the agent says:\n${agent.logTail()}`);
    await sleep(20, undefined, { signal: stop.signal });
  }
  say(
    `camera:  ${owner.deviceId}, claimed with that code from a stick; its key was made on the board`,
  );
}

/** Waits until more is stored than the folder held before. */
async function firstSegment(owner: Owner, agent: Background, held: number): Promise<void> {
  while (!stop.signal.aborted) {
    if ((await owner.device()).segments > held) {
      say(`first segment stored after ${elapsedS().toFixed(1)} s`);
      return;
    }
    if (agent.hasEnded) throw new Error(`the agent ended:\n${agent.logTail()}`);
    if (elapsedS() > FIRST_SEGMENT_TIMEOUT_S)
      throw new Error(`nothing was stored in a minute; the agent says:\n${agent.logTail()}`);
    await sleep(100, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

async function watch(
  owner: Owner,
  agent: Background,
  { seconds, held }: { readonly seconds: number | undefined; readonly held: number },
): Promise<void> {
  await firstSegment(owner, agent, held);
  if (stop.signal.aborted) return;
  say(`watch:   ffplay '${await owner.playUrl()}'`);
  while (!stop.signal.aborted && (seconds === undefined || elapsedS() < seconds)) {
    status(describe(await owner.device()), elapsedS());
    if (agent.hasEnded) throw new Error(`the agent ended:\n${agent.logTail()}`);
    await sleep(1000, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}

async function checkStored(folder: string, segments: number): Promise<string[]> {
  const { code, output } = await runVerb('broker/main.ts', ['verify', '--data', folder]);
  say(`verify:  ${output}`);
  const problems = code === 0 ? [] : ['verify found faults'];
  return segments > 0 ? problems : [...problems, 'nothing was stored'];
}

async function exportAll(owner: Owner, file: string, from: Date): Promise<string[]> {
  const manifest = await owner.exportTo(file, from);
  const { size } = await stat(file);
  say(`export:  ${manifest.pieces.length} segments, ${size} bytes, ${file}`);
  return size > 0 && manifest.pieces.length > 0 ? [] : ['the export is empty'];
}

function exportFile(folder: string, { exportFile: file, seconds }: Options): string | undefined {
  return file ?? (seconds === undefined ? undefined : join(folder, 'export.mp4'));
}

function startAgent(folder: string): Background {
  return new Background(
    'the agent',
    'agent/main.ts',
    ['run', '--config', join(folder, 'agent.json')],
    join(folder, 'agent.log'),
  );
}

/** Runs the demo on a data folder; returns what went wrong. */
async function demo(folder: string, options: Options): Promise<string[]> {
  const from = new Date();
  await writeConfigs(folder, options);
  const server = new Background(
    'the server',
    'broker/main.ts',
    ['serve', '--data', folder],
    join(folder, 'server.log'),
  );
  // A board without an identity waits for its code, and need not wait for the server to start.
  let agent = existsSync(join(folder, IDENTITY)) ? undefined : startAgent(folder);
  const problems: (string | undefined)[] = [];
  let segments = 0;
  try {
    const [house, { mqttPort, httpUrl }] = await Promise.all([
      settle(folder),
      listening(folder, server),
    ]);
    say(`source:  ${options.source.label}`);
    say(
      `server:  mqtts://localhost:${mqttPort} for devices, ${httpUrl} for owners (${httpUrl}/openapi.json)`,
    );
    say(`owner:   ${house.email}, password ${house.password}: a demo owner, made for this folder`);
    const owner = await Owner.login(httpUrl, house);
    const isKnown = await owner.findCamera();
    const held = isKnown ? (await owner.device()).segments : 0;
    agent ??= startAgent(folder);
    if (!isKnown) await claim(owner, agent, folder);
    const scopes = options.source.audio === 'source' ? ['video', 'audio'] : ['video'];
    say(
      `consent: given by the demo owner through the API, recorded as ${await owner.consent(scopes)}`,
    );
    await watch(owner, agent, { seconds: options.seconds, held });
    say(`\nstopping: the segment under way is closed and sent`);
    problems.push(await agent.stop());
    segments = (await owner.device()).segments - held;
    const file = exportFile(folder, options);
    if (file !== undefined) problems.push(...(await exportAll(owner, file, from)));
  } catch (error) {
    if (!stop.signal.aborted) problems.push(error instanceof Error ? error.message : String(error));
  }
  if (agent && !agent.hasEnded) problems.push(await agent.stop());
  problems.push(await server.stop());
  if (options.seconds !== undefined) problems.push(...(await checkStored(folder, segments)));
  return problems.filter((problem) => problem !== undefined);
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  const folder = options.data ?? (await mkdtemp(join(tmpdir(), 'lenscap-demo-')));
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const problems = await demo(folder, options);
  if (options.data === undefined) await rm(folder, { recursive: true, force: true });
  else say(`data:    ${folder}`);
  for (const problem of problems) process.stderr.write(`lenscap: ${problem}\n`);
  return problems.length === 0 ? 0 : 1;
}

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`lenscap: ${error instanceof Error ? error.message : String(error)}\n`);
  return 64;
});
