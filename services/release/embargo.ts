import { Problem } from "../../shared/platform/http.ts";

/**
 * What is refused before the lift, by its path alone: whatever could hold figures or depend on one, whether there is anything at it or
 * not. Asked of the path as the router sees it, so that no spelling leads to a handler and past this.
 */
const FIGURES = ["/v1/releases", "/statements", "/log/judgements"] as const;

/** A statement's own address. Its handler gives, before the lift, the types that hold no figures, and refuses all others alike. */
const STATEMENT = /^\/statements\/[0-9a-f]{64}$/;

export function isEmbargoed(method: string, path: string): boolean {
  if ((method === "GET" || method === "HEAD") && STATEMENT.test(path)) return false;
  return FIGURES.some((prefix) => path.startsWith(prefix));
}

/** What may ask for results at all. */
export const READ: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** The refusal of every other method, as it is after the lift, and here of any path: nothing can be written to results. */
export function onlyRead(): Problem {
  return new Problem("request.method", { headers: { allow: "GET, HEAD" } });
}

/** The one refusal: the same for every path, but for the second at which to come back. */
export function embargo(retrySeconds: () => number): Problem {
  return new Problem("embargo.in-force", { retryAfterSeconds: retrySeconds() });
}
