import { HTTPException } from "hono/http-exception";
import { type ProblemCode, problemDocument } from "../statement/problems.ts";

/** A refusal with a code of the catalogue (RFC 9457): thrown at the HTTP edge only. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ProblemCode;
  readonly detail: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly headers: Readonly<Record<string, string>> | undefined;

  /** `detail` is shown to whoever asked: nothing internal. `cause` is logged, not shown. */
  constructor(
    code: ProblemCode,
    options: {
      detail?: string;
      retryAfterSeconds?: number;
      headers?: Readonly<Record<string, string>>;
      cause?: unknown;
    } = {},
  ) {
    super(options.detail === undefined ? code : `${code}: ${options.detail}`, { cause: options.cause });
    this.code = code;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.headers = options.headers;
  }
}

/** The problem document of a code as a response. */
export function problemResponse(problem: Problem): Response {
  const document = problemDocument(problem.code, problem.detail);
  const headers = new Headers(problem.headers);
  headers.set("content-type", "application/problem+json");
  if (problem.retryAfterSeconds !== undefined)
    headers.set("retry-after", String(Math.max(1, Math.ceil(problem.retryAfterSeconds))));
  return new Response(JSON.stringify(document), { status: document.status, headers });
}

/** What Hono and its helpers throw, in our words; theirs never reach the client. */
const HTTP_PROBLEMS: Readonly<Record<number, ProblemCode>> = {
  404: "request.not-found",
  405: "request.method",
  408: "request.too-slow",
  413: "statement.too-large",
  415: "statement.media-type",
  429: "rate.exceeded",
};

export function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof HTTPException && error.status < 500)
    return new Problem(HTTP_PROBLEMS[error.status] ?? "request.malformed", { cause: error });
  return new Problem("service.error", { cause: error });
}
