import { destination, type Logger, pino, stdTimeFunctions } from "pino";

/**
 * A logger: JSON lines on stdout, ISO time, the level as a word, `service` in each line. Written synchronously, so that the
 * last words of a dying process are not lost. Give it no figures, no personal data, no bodies: nothing is redacted here.
 */
export function createLog(service: string): Logger {
  const options = {
    base: { service },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError },
  };
  // Said outright: without it a line still on its way at the exit comes out after those that followed it.
  return pino(options, destination({ fd: 1, sync: true }));
}

/** What a log line says of an error. */
export interface LoggedError {
  type: string;
  message: string;
  code?: string | number;
  stack?: string;
  cause?: LoggedError;
  errors?: LoggedError[];
}

const MAX_CAUSES = 4;

/**
 * Only these fields: drivers hang the values of a failed row on their errors (`detail` and `where` of Postgres), and values
 * have no place in a log.
 */
export function describeError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const { code } = error as { code?: unknown };
  const logged: LoggedError = { type: error.name, message: error.message };
  if (typeof code === "string" || typeof code === "number") logged.code = code;
  if (error.stack !== undefined) logged.stack = error.stack;
  if (depth >= MAX_CAUSES) return logged;
  if (error.cause !== undefined) logged.cause = describeError(error.cause, depth + 1);
  // Node reports a connection refused on every address of a name as one error without a message.
  if (error instanceof AggregateError) logged.errors = error.errors.map((e) => describeError(e, depth + 1));
  return logged;
}
