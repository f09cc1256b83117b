import type { App } from "../../shared/platform/http.ts";

/** What a page of any origin may read of an answer, beside its body. */
const EXPOSED = [
  "Content-Location",
  "Content-Range",
  "ETag",
  "Preference-Applied",
  "RateLimit",
  "RateLimit-Policy",
  "Retry-After",
  "Scrutin-Mode",
];
const DAY_SECONDS = 86_400;

/** Everything here is public to read, so a page of any origin may (Fetch standard, CORS protocol): on every answer, refusals too. */
export const READABLE = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": EXPOSED.join(", "),
} as const;

/** A browser's question before a request with headers of its own is answered alike for every path, before anything is looked at. */
export function answerPreflights(app: App): void {
  app.use("*", async (c, next) => {
    const asked = c.req.method === "OPTIONS" ? c.req.header("access-control-request-method") : undefined;
    if (asked === undefined) return next();
    return c.body(null, 204, {
      "access-control-allow-methods": "GET, HEAD",
      "access-control-allow-headers": "authorization, if-none-match, if-range, last-event-id, prefer, range",
      "access-control-max-age": String(DAY_SECONDS),
    });
  });
}
