import { addressName, createBuckets, type Rate } from "../../shared/platform/bounds.ts";
import { type App, Problem, remoteAddress } from "../../shared/platform/http.ts";

/**
 * What one address may ask of results and pages: a page that polls every second has two hundred times as much, and a whole newsroom behind
 * one address has enough. The log, statements, evidence, proofs and sealed copies have limits of their own, by what they cost.
 */
export const READS: Rate = { perSecond: 200, burst: 1_000 };

const LIMITED = ["/v1/releases", "/v1/definition", "/v1/stream", "/openapi.json", "/api", "/verify"] as const;

/** As draft-ietf-httpapi-ratelimit-headers writes it: a bucket of `q` that fills up in `w` seconds. */
const POLICY = `"address";q=${READS.burst};w=${READS.burst / READS.perSecond}`;

/** Takes from what an address may ask: undefined, or the seconds until there is something. */
export type TakeRead = (address: string) => number | undefined;

export function createReads(now: () => number): TakeRead {
  const ofAddress = createBuckets(READS);
  return (address) => ofAddress.take(addressName(address), now());
}

/** 429 with the seconds until there is room, for an address that has used up its own; nobody else notices. */
export function addLimits(app: App, take: TakeRead): void {
  app.use("*", async (c, next) => {
    const { path } = c.req;
    if (path === "/" || LIMITED.some((prefix) => path.startsWith(prefix))) {
      const wait = take(remoteAddress(c));
      if (wait !== undefined)
        throw new Problem("rate.exceeded", {
          retryAfterSeconds: wait,
          headers: { "ratelimit-policy": POLICY, ratelimit: `"address";r=0;t=${wait}` },
        });
    }
    await next();
  });
}
