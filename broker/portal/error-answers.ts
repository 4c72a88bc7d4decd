// Errors as answers: the code of the table, a sentence, whether to try again. What went wrong inside
// is logged and never sent.
import type { FastifyError, FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { ERRORS, LenscapError } from '../../proto/errors.ts';

/** Codes whose details speak of the inside of the server. */
const INSIDE = new Set(['BUG', 'STORE_CORRUPT', 'STORE_FAILED', 'STORE_LOCKED']);

export function answerErrors(app: FastifyInstance, log: Logger): void {
  app.setNotFoundHandler(() => {
    throw new LenscapError('NOT_FOUND', 'no such address; see /openapi.json');
  });
  app.setErrorHandler((thrown: FastifyError | LenscapError, request, reply) => {
    const error = asLenscapError(thrown);
    const { message, retry, http } = ERRORS[error.code];
    const isInside = INSIDE.has(error.code);
    // The pattern, not the address: an address may hold a token.
    const route = `${request.method} ${request.routeOptions.url ?? 'unknown'}`;
    if (isInside) log.error({ err: thrown, code: error.code, route }, 'a request failed');
    const said = isInside ? message : error.message;
    return reply
      .code(http)
      .header('cache-control', 'no-store')
      .type('application/json')
      .send({ code: error.code, message: said, retry });
  });
}

/** What the framework refuses is a bad request; what else was thrown is a fault of ours. */
function asLenscapError(thrown: FastifyError | LenscapError): LenscapError {
  if (thrown instanceof LenscapError) return thrown;
  const status = thrown.statusCode ?? 500;
  if (status === 429) return new LenscapError('RATE_LIMITED', 'wait a minute');
  if (status >= 400 && status < 500) return new LenscapError('REQUEST_INVALID', thrown.message);
  return new LenscapError('BUG', 'see the log of the server', { cause: thrown });
}
