// A thread for the tests of Thread: echoes, fails or dies, as asked.
import { answer } from '../../../../broker/store/thread.ts';

answer<string, string, string>(
  (question) => {
    if (question === 'die') process.exit(3);
    if (question === 'fail') throw new Error('as asked');
    return question;
  },
  (error) => (error instanceof Error ? error.message : String(error)),
  () => undefined,
);
