// A process with a lens, for a test that looks at what it does from outside: watched.ts FILM. Ends
// when the code in the film was offered for the second time.
import { look } from './shown.ts';

const [, , path = ''] = process.argv;
const watching = look({ type: 'file', path, loop: true }, (_, count) =>
  count < 2 ? 'retry' : 'claimed',
);
await watching.ended;
process.stdout.write(`offered ${watching.offers.length}\n`);
