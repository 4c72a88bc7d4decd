// Logging in and out, the only way to a token.
import type { FastifyInstance } from 'fastify';
import { answers, type Context, OPEN, who } from '../context.ts';
import { PASSWORD_MAX } from '../passwords.ts';
import { at, object, text } from '../schemas.ts';
import { isoTime } from '../times.ts';

export function loginRoutes(app: FastifyInstance, { logins, config }: Context): void {
  app.post<{ Body: { email: string; password: string } }>(
    '/api/login',
    {
      config: { isOpen: true, rateLimit: { max: config.loginsPerMinute, timeWindow: 60_000 } },
      schema: {
        ...OPEN,
        tags: ['login'],
        summary: 'Log in',
        body: object({
          email: text('Address of the account.', 254),
          password: text('Its password.', PASSWORD_MAX),
        }),
        response: answers(object({ token: text('Bearer token.'), expiresAt: at })),
      },
    },
    async ({ body }) => {
      const { token, expiresAtUs } = await logins.open(body.email, body.password);
      return { token, expiresAt: isoTime(expiresAtUs) };
    },
  );
  app.post(
    '/api/logout',
    {
      schema: {
        tags: ['login'],
        summary: 'End this login and the addresses to play that it made',
        response: answers(object({ ok: { type: 'boolean' } })),
      },
    },
    async (request) => {
      await logins.close(who(request).login);
      return { ok: true };
    },
  );
}
