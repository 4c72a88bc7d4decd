// Logins of owners. A token is 32 random bytes that only its owner has; the store holds its SHA-256,
// so that whoever reads the store cannot log in with what it finds.
import { createHash, randomBytes } from 'node:crypto';
import { LenscapError } from '../../proto/errors.ts';
import type { AccountRow, Accounts } from '../store/accounts.ts';
import { hashPassword, verifyPassword } from './passwords.ts';

const TOKEN = /^[\w-]{43}$/;
const US_PER_S = 1_000_000;

export interface LoginsDeps {
  readonly accounts: Accounts;
  readonly nowUs: () => number;
  readonly sessionS: number;
}

/** An account with the login by which it came. */
export interface LoggedIn {
  readonly account: AccountRow;
  /** Hex SHA-256 of the token. */
  readonly login: string;
}

export class Logins {
  readonly #deps: LoginsDeps;
  #decoy: Promise<string> | undefined;

  constructor(deps: LoginsDeps) {
    this.#deps = deps;
  }

  /** @throws AUTH_FAILED, after the same work whether or not there is such an account. */
  async open(email: string, password: string): Promise<{ token: string; expiresAtUs: number }> {
    const account = await this.#deps.accounts.byEmail(email.trim().toLowerCase());
    this.#decoy ??= hashPassword(randomBytes(16).toString('hex'));
    const isRight = await verifyPassword(password, account?.password_hash ?? (await this.#decoy));
    if (!account || !isRight) throw new LenscapError('AUTH_FAILED', 'check both and try again');
    const token = randomBytes(32).toString('base64url');
    const nowUs = this.#deps.nowUs();
    const expiresAtUs = nowUs + this.#deps.sessionS * US_PER_S;
    await this.#deps.accounts.addLogin({
      token_sha256: sha256(token),
      account_id: account.account_id,
      created_at_us: nowUs,
      expires_at_us: expiresAtUs,
    });
    return { token, expiresAtUs };
  }

  /** Who a bearer token belongs to. @throws AUTH_REQUIRED. */
  async check(authorization: string | undefined): Promise<LoggedIn> {
    const [scheme, token, ...rest] = (authorization ?? '').split(' ');
    if (scheme?.toLowerCase() !== 'bearer' || !token || rest.length > 0 || !TOKEN.test(token))
      throw required();
    const login = sha256(token);
    const account = await this.accountOf(login);
    if (!account) throw required();
    return { account, login };
  }

  /** The account of a login that is still open. */
  accountOf(login: string): Promise<AccountRow | undefined> {
    return this.#deps.accounts.byToken(login, this.#deps.nowUs());
  }

  close(login: string): Promise<void> {
    return this.#deps.accounts.removeLogin(login);
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function required(): LenscapError {
  return new LenscapError('AUTH_REQUIRED', 'send a token of /api/login as `Authorization: Bearer`');
}
