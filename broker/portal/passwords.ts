// Passwords as argon2id strings (PHC format). The cost is in the string, so that it can be raised
// later without locking anybody out.
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';

interface Cost {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
}

/** RFC 9106 asks for more memory than a small board has; this is OWASP's least. */
const COST: Cost = { memoryKib: 19456, passes: 2, lanes: 1 };
const SALT_BYTES = 16;
const TAG_BYTES = 32;
export const PASSWORD_MIN = 8;
export const PASSWORD_MAX = 200;
const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$([\w+/]+)\$([\w+/]+)$/;

/** @throws REQUEST_INVALID when it is shorter or longer than allowed. */
export async function hashPassword(password: string): Promise<string> {
  const normal = password.normalize('NFKC');
  if (normal.length < PASSWORD_MIN || normal.length > PASSWORD_MAX)
    throw new LenscapError(
      'REQUEST_INVALID',
      `a password has ${PASSWORD_MIN} to ${PASSWORD_MAX} characters`,
    );
  const salt = randomBytes(SALT_BYTES);
  const tag = await derive(normal, salt, COST, TAG_BYTES);
  const { memoryKib, passes, lanes } = COST;
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${bare(salt)}$${bare(tag)}`;
}

/** Whether a password belongs to a hash; false for a hash it does not know. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const [, memory, passes, lanes, salt, tag] = PHC.exec(hash) ?? [];
  if (salt === undefined || tag === undefined) return false;
  const wanted = Buffer.from(tag, 'base64');
  const cost = { memoryKib: Number(memory), passes: Number(passes), lanes: Number(lanes) };
  const normal = password.normalize('NFKC').slice(0, PASSWORD_MAX + 1);
  const found = await derive(normal, Buffer.from(salt, 'base64'), cost, wanted.length);
  return normal.length <= PASSWORD_MAX && timingSafeEqual(found, wanted);
}

function derive(message: string, nonce: Buffer, cost: Cost, tagLength: number): Promise<Buffer> {
  const { memoryKib: memory, passes, lanes: parallelism } = cost;
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  argon2('argon2id', { message, nonce, parallelism, tagLength, memory, passes }, (error, tag) =>
    error ? reject(error) : resolve(tag),
  );
  return promise;
}

/** PHC strings carry base64 without padding. */
function bare(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
