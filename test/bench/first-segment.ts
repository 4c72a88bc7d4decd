// From `make run` to the first stored segment, as somebody in front of the terminal waits for it.
import { join } from 'node:path';
import { absolute, type Bench, type Figure, median, spread } from './figures.ts';
import { PROJECT } from './lenscap.ts';
import { needTool } from './native.ts';
import { start, stop } from './processes.ts';

const DEADLINE_MS = 60_000;

export async function firstSegmentFigures(bench: Bench): Promise<Figure[]> {
  const seconds: number[] = [];
  for (let round = 0; round < (bench.isQuick ? 1 : 3); round++) {
    const data = join(bench.folder, `first-${round}`);
    const startMs = performance.now();
    const demo = start(needTool('make', 'make'), ['run', 'SECONDS=20', `DATA=${data}`], {
      cwd: PROJECT,
    });
    try {
      const [, said] = await demo.line(/first segment stored after ([\d.]+) s/, DEADLINE_MS);
      seconds.push((performance.now() - startMs) / 1000);
      bench.print(`  first segment: ${seconds.at(-1)?.toFixed(2)} s; the demo says ${said} s`);
    } finally {
      await stop(demo);
    }
  }
  bench.print(`start to first segment: ${spread(seconds)} s`);
  return [absolute('start of make run to first segment stored', 's', median(seconds), 6)];
}
