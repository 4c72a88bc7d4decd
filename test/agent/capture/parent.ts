// A process with a capture, for tests that kill it. Says `up` after the first segment.
import { captureConfig, QUICK, Recording } from './harness.ts';

const recording = new Recording(captureConfig({ type: 'test' }, QUICK));
await recording.until('a segment', () => recording.segments.length > 0);
process.stdout.write('up\n');
await recording.ended;
