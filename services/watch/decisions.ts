import { z } from "zod";
import type { DoorFetch } from "../../shared/platform/door.ts";
import { Problem } from "../../shared/platform/http.ts";
import type { Guard } from "./access/guard.ts";
import { bodyOf } from "./access/routes.ts";

/**
 * A trustee's decision on its way from the browser, where it was signed, to the door. This server adds nothing to it and could not: it has no
 * trustee's key, and the door and the ledger verify what they get.
 */
export interface DecisionDeps {
  /** Base address of ingest; undefined: decisions are sent elsewhere. */
  ingest: string | undefined;
  fetch: DoorFetch;
  /** The first sequence number that a key has not used. */
  nextSequence: (kid: string) => Promise<number>;
}

const ANSWER_MS = 10_000;
const MOST_ENVELOPE = 16 * 1024;
const Sent = z.strictObject({ envelope: z.string().max(MOST_ENVELOPE) });
const Answer = z.object({ title: z.string().optional(), detail: z.string().optional(), code: z.string().optional() });

export function addDecisionRoutes(guard: Guard, { ingest, fetch, nextSequence }: DecisionDeps): void {
  guard.add("GET", "/v1/decisions/:kid", "trustee", async (c) => {
    const sequence = await nextSequence(c.req.param("kid") ?? "").catch((error: unknown) => {
      throw new Problem("service.unavailable", { cause: error, retryAfterSeconds: 2 });
    });
    return c.json({ sequence });
  });

  guard.add("POST", "/v1/decisions", "trustee", async (c) => {
    if (ingest === undefined)
      throw new Problem("request.not-found", { detail: "Watch was not told where the door is." });
    const { envelope } = await bodyOf(c, Sent, 2 * MOST_ENVELOPE);
    const response = await fetch(new URL("/v1/statements", ingest), {
      method: "POST",
      headers: { "content-type": "application/jose+json" },
      body: envelope,
      signal: AbortSignal.timeout(ANSWER_MS),
      redirect: "error",
    }).catch((error: unknown) => {
      throw new Problem("service.unavailable", { cause: error, retryAfterSeconds: 2 });
    });
    const { title, detail, code } = Answer.parse(await response.json().catch(() => ({})));
    const says = response.ok
      ? "it is in the log. Whether it was accepted stands in its receipt and, at once, on the dashboard."
      : `${code ?? ""} ${title ?? ""} ${detail ?? ""}`.trim();
    return c.json({ status: response.status, says });
  });
}
