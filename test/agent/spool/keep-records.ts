// Takes the steps on a folder: keep-records.ts FOLDER. Says each that is done, and the code of each that
// failed, which it takes again. Run under strace by a test.
import { writeSync } from 'node:fs';
import { toLenscapError } from '../../../proto/errors.ts';
import { openAt } from './records.ts';
import { STEPS, type Step } from './steps.ts';

const [folder = ''] = process.argv.slice(2);
const say = (line: string) => writeSync(1, `${line}\n`);

function opened() {
  for (;;) {
    const { flash, fault } = openAt(folder);
    if (fault === null) return flash;
    say(`failed ${fault.code}`);
  }
}

const flash = opened();

async function take(step: Step): Promise<void> {
  if ('write' in step) await flash.write(step.write);
  else if ('remove' in step) flash.remove(step.remove);
  else flash.erase(step.erase);
}

for (const step of STEPS) {
  for (let isDone = false; !isDone; )
    isDone = await take(step).then(
      () => true,
      (error: unknown) => {
        say(`failed ${toLenscapError(error).code}`);
        return false;
      },
    );
  say('done');
}
