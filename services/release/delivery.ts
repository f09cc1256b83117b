import type { Logger } from "pino";
import type { App } from "../../shared/platform/http.ts";
import type { ReadPullToken } from "../../shared/platform/pull-token.ts";
import type { Listed } from "./shelf.ts";

/**
 * What the Parliament last fetched: known by the token that its client sends along with any request for a release. What it is given is what
 * everyone is given, with or without it.
 */
export interface Delivery {
  /** Writes what was fetched since the last look; answers the ms until the next. Never rejects. */
  round(): Promise<number>;
  /** This key's holder has been given this release. */
  note(key: string, fetched: Pick<Listed, "number" | "sha256">): void;
}

/** At most one write a second for each key, however often it asks. */
const LOOK_MS = 1_000;

export function createDelivery(sources: {
  record: (key: string, fetched: Pick<Listed, "number" | "sha256">) => Promise<unknown>;
  log: Logger;
}): Delivery {
  let waiting = new Map<string, Pick<Listed, "number" | "sha256">>();
  return {
    note: (key, fetched) => void waiting.set(key, fetched),
    async round() {
      const noted = waiting;
      waiting = new Map();
      for (const [key, fetched] of noted) {
        try {
          await sources.record(key, fetched);
        } catch (error) {
          sources.log.warn({ err: error }, "what the Parliament fetched was not written");
          if (!waiting.has(key)) waiting.set(key, fetched);
        }
      }
      return LOOK_MS;
    },
  };
}

export interface DeliveryRoutes {
  readToken: ReadPullToken;
  /** ms since 1970. */
  wallNow: () => number;
  list: () => readonly Listed[];
  note: Delivery["note"];
}

/** Sees every answer below `/v1/releases/<n>` that carried a release or said that it has not changed; adds nothing to it. */
export function addDelivery(app: App, { readToken, wallNow, list, note }: DeliveryRoutes): void {
  app.use("/v1/releases/:name", async (c, next) => {
    await next();
    const authorization = c.req.header("authorization");
    if (authorization === undefined || c.req.method !== "GET" || (c.res.status !== 200 && c.res.status !== 304)) return;
    const name = c.req.param("name").replace(/\.csv$/, "");
    const fetched = name === "latest" ? list().at(-1) : list()[Number(name) - 1];
    const key = await readToken(authorization, wallNow());
    if (key !== undefined && fetched !== undefined) note(key, fetched);
  });
}
