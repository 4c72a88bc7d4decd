// The bench: takes every figure, prints one table and keeps it in results.json.
// usage: node test/bench/main.ts [--only NAME…] [--quick] [--soak] [--dir DIR] [--seed N]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Bench, type Figure, missing, table } from './figures.ts';
import { findTool } from './native.ts';
import { killAll, run } from './processes.ts';

type Take = (bench: Bench) => Promise<Figure[]>;

/** Loaded one at a time, so that a part which does not even load costs its own figures alone. */
const PARTS: Readonly<Record<string, () => Promise<Take>>> = {
  ingest: async () => (await import('./ingest.ts')).ingestFigures,
  'withdraw-commit': async () => (await import('./withdraw-commit.ts')).withdrawCommitFigures,
  'withdraw-close': async () => (await import('./withdraw-close.ts')).withdrawCloseFigures,
  agent: async () => (await import('./agent-cost.ts')).agentCostFigures,
  connections: async () => (await import('./connections.ts')).connectionFigures,
  reconnect: async () => (await import('./reconnect.ts')).reconnectFigures,
  'config-fleet': async () => (await import('./config-fleet.ts')).configFleetFigures,
  claims: async () => (await import('./claims.ts')).claimFigures,
  flash: async () => (await import('./flash-wear.ts')).flashFigures,
  outage: async () => (await import('./outage.ts')).outageFigures,
  erase: async () => (await import('./erase.ts')).eraseFigures,
  start: async () => (await import('./first-segment.ts')).firstSegmentFigures,
  'config-push': async () => (await import('./config-push.ts')).configPushFigures,
  log: async () => (await import('./log.ts')).logFigures,
  motion: async () => (await import('./motion.ts')).motionFigures,
  soak: async () => (await import('./agent-cost.ts')).soakFigures,
};
const SOAK = 'soak';

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    soak: { type: 'boolean', default: false },
    dir: { type: 'string', default: tmpdir() },
    seed: { type: 'string' },
  },
});

const print = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Numbers from 0 to 1 that follow from the seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function versionOf(tool: string, argument: string, pattern: RegExp): Promise<string> {
  const path = findTool(tool);
  if (path === undefined) return `${tool} missing`;
  // Mosquitto prints its help and exits with 3.
  const output = await run('sh', ['-c', '"$0" "$1" 2>&1 || true', path, argument]);
  return `${tool} ${pattern.exec(output)?.[1] ?? '?'}`;
}

async function describeMachine(seed: number): Promise<void> {
  const tools = await Promise.all([
    versionOf('mosquitto', '-h', /version ([\d.]+)/),
    versionOf('gst-launch-1.0', '--version', /version ([\d.]+)/),
    versionOf('cc', '--version', /(\d+\.\d+\.\d+)/),
  ]);
  print(
    `Node ${process.versions.node}, OpenSSL ${process.versions.openssl}, ${tools.join(', ')}; ${cpus().length} x ${cpus()[0]?.model}, ` +
      `${Math.round(totalmem() / 2 ** 30)} GiB; load ${loadavg()
        .map((load) => load.toFixed(1))
        .join(' ')}; seed ${seed}`,
  );
}

async function takeFigures(names: readonly string[], bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const name of names) {
    const startMs = performance.now();
    print(`-- ${name} (load ${loadavg()[0]?.toFixed(1)})`);
    try {
      const take = await PARTS[name]?.();
      if (!take) throw new Error(`there is no figure ${name}: ${Object.keys(PARTS).join(', ')}`);
      figures.push(...(await take(bench)));
    } catch (error) {
      killAll();
      print(
        `${name} could not be taken: ${error instanceof Error ? error.message : String(error)}`,
      );
      figures.push(missing(name, 'to be taken'));
    }
    print(`   ${((performance.now() - startMs) / 1000).toFixed(0)} s`);
  }
  return figures;
}

const seed = Number(values.seed ?? Date.now() % 1_000_000);
const folder = mkdtempSync(join(values.dir, 'lenscap-bench-'));
const clean = (): void => {
  killAll();
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
};
for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => {
    clean();
    process.exit(status);
  });
try {
  await describeMachine(seed);
  const names =
    values.only ?? (values.soak ? [SOAK] : Object.keys(PARTS).filter((name) => name !== SOAK));
  const bench: Bench = { folder, seed, random: seeded(seed), isQuick: values.quick, print };
  const figures = await takeFigures(names, bench);
  print(`\n${table(figures)}`);
  writeFileSync(join(import.meta.dirname, 'results.json'), `${JSON.stringify(figures, null, 2)}\n`);
  process.exitCode = figures.every(({ ok }) => ok) ? 0 : 1;
} finally {
  clean();
}
