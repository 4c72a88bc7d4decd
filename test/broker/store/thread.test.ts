import t from 'tap';
import { Thread } from '../../../broker/store/thread.ts';

function start(): Promise<Thread<string, string, string>> {
  const url = new URL('./threads/echo.ts', import.meta.url);
  return Thread.start(url, null, (failure: string) => new Error(failure));
}

t.test('questions are answered each for itself, failures too', async (t) => {
  const thread = await start();
  const answers = await Promise.allSettled(['a', 'fail', 'b'].map((text) => thread.ask(text)));
  t.match(answers, [{ value: 'a' }, { reason: { message: 'as asked' } }, { value: 'b' }]);
  await thread.close();
});

t.test('a thread that dies leaves nobody waiting, then or later', async (t) => {
  const thread = await start();
  await t.rejects(thread.ask('die'));
  await t.rejects(thread.failed);
  await t.rejects(thread.ask('a'));
});

t.test('after close nothing is asked any more', async (t) => {
  const thread = await start();
  await thread.close();
  await t.rejects(thread.ask('a'), /has ended/);
});
