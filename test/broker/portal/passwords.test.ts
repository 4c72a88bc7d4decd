// Passwords: kept as argon2id, compared in their normal form.
import t from 'tap';
import { hashPassword, verifyPassword } from '../../../broker/portal/passwords.ts';

t.test('a hash says how it was made and fits its password alone', async (t) => {
  const hash = await hashPassword('correct horse battery');
  t.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
  t.ok(await verifyPassword('correct horse battery', hash));
  t.notOk(await verifyPassword('correct horse batterz', hash));
  t.not(hash, await hashPassword('correct horse battery'), 'salted');
});

t.test('the same letters typed on another keyboard are the same password', async (t) => {
  const hash = await hashPassword('Zoe\u0308 and Zoe\u0308');
  t.ok(await verifyPassword('Zo\u00eb and Zo\u00eb', hash));
});

t.test('too short and too long are refused', async (t) => {
  await t.rejects(hashPassword('1234567'), { code: 'REQUEST_INVALID' });
  await t.rejects(hashPassword('x'.repeat(201)), { code: 'REQUEST_INVALID' });
  const longest = await hashPassword('x'.repeat(200));
  t.ok(await verifyPassword('x'.repeat(200), longest));
  t.notOk(await verifyPassword('x'.repeat(201), longest));
});

t.test('what is no hash fits nothing', async (t) => {
  for (const hash of ['', 'x', '$argon2id$v=19$m=1,t=1,p=1$$', '$2b$10$abc'])
    t.notOk(await verifyPassword('correct horse battery', hash), hash);
});
