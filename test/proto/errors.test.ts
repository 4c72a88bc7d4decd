import { readFileSync } from 'node:fs';
import t from 'tap';
import { ERRORS, isErrorCode, LenscapError, toLenscapError } from '../../proto/errors.ts';

t.test('the table of error codes in the README is the one in the code', async (t) => {
  const readme = readFileSync(new URL('../../proto/README.md', import.meta.url), 'utf8');
  const listed = [
    ...readme.matchAll(/^\| `([A-Z_]+)` \| (.+?) \| (yes|no) \| (\d+) \| (\d+) \|$/gm),
  ].map(([, code, message, retry, exit, http]) => [
    code,
    message,
    retry === 'yes',
    Number(exit),
    Number(http),
  ]);
  const known = Object.entries(ERRORS).map(([code, row]) => [
    code,
    row.message,
    row.retry,
    row.exit,
    row.http,
  ]);
  t.same(listed, known);
});

t.test('an error says what happened and to what', async (t) => {
  const error = new LenscapError('CAPTURE_NO_SOURCE', '/dev/video7; plug the camera in');
  t.equal(error.message, 'the source cannot be opened: /dev/video7; plug the camera in');
  t.equal(toLenscapError(error), error);
  t.equal(toLenscapError(new Error('x')).code, 'BUG');
  t.equal(toLenscapError('x', 'STORE_FAILED').code, 'STORE_FAILED');
  t.ok(isErrorCode('BUG'));
  t.notOk(isErrorCode('toString'), 'names of the prototype are no codes');
});
