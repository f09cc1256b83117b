import { z } from "zod";
import { Problem } from "../../../shared/platform/http.ts";
import type { Guard } from "../access/guard.ts";
import { bodyOf } from "../access/routes.ts";
import { incidentView } from "../status.ts";
import type { IncidentBook } from "./book.ts";
import type { Action, Incident } from "./life.ts";

const MOST_SAID = 2_000;
/** UTF-8 and JSON's escapes of it. */
const MOST_BODY = 6 * MOST_SAID + 64;
const Said = z.strictObject({ says: z.string().trim().min(5).max(MOST_SAID) });
const Nothing = z.strictObject({ says: z.string().trim().max(MOST_SAID).optional() });

const ACTIONS: readonly [path: string, action: Action, shape: z.ZodType<{ says?: string | undefined }>][] = [
  ["acknowledge", "acknowledged", Nothing],
  ["explain", "explained", Said],
  ["close", "closed", Nothing],
];

/** What is known of incidents, and what people do with them. */
export function addIncidentRoutes(guard: Guard, book: IncidentBook): void {
  guard.add("GET", "/v1/incidents", "viewer", (c) => c.json({ incidents: book.list().map(incidentView) }));

  guard.add("GET", "/v1/incidents/:id", "viewer", (c) => {
    const incident = book.find(c.req.param("id") ?? "");
    if (incident === undefined) throw new Problem("incident.unknown");
    return c.json(withEvents(incident));
  });

  for (const [path, action, shape] of ACTIONS)
    guard.add("POST", `/v1/incidents/:id/${path}`, "operator", async (c, { name }) => {
      const { says } = await bodyOf(c, shape, MOST_BODY);
      const done = await book.act(c.req.param("id") ?? "", action, name, says || null).catch((error: unknown) => {
        throw new Problem("service.unavailable", { cause: error, retryAfterSeconds: 2 });
      });
      if (typeof done === "string") throw new Problem(done);
      return c.json(withEvents(done));
    });
}

function withEvents(incident: Incident) {
  const events = incident.events.map(({ kind, at, who, says, detail }) => ({
    kind,
    at: new Date(at).toISOString(),
    who,
    says,
    times: detail.times ?? null,
    evidence: detail.evidence ?? null,
  }));
  return { ...incidentView(incident), events };
}
