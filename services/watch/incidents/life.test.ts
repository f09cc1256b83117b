import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Action,
  applyEvent,
  type Detail,
  ESCALATE_MS,
  type EventKind,
  type Incidents,
  mustEscalate,
  objectionTo,
} from "./life.ts";

const event = (kind: EventKind, at: number, more: { who?: string; detail?: Detail; incident?: string } = {}) => ({
  incident: more.incident ?? "one",
  kind,
  at,
  who: more.who ?? null,
  says: null,
  detail: more.detail ?? {},
});
const raised = (detail: Detail = {}) =>
  event("raised", 0, { detail: { code: "service.missing", severity: "major", ...detail } });

function seenAfter(...events: ReturnType<typeof event>[]) {
  const incidents: Incidents = new Map();
  for (const one of events) applyEvent(incidents, one);
  return incidents.get("one");
}

describe("the life of an incident", () => {
  it("goes from raised by way of acknowledged and explained to closed, by named people", () => {
    const steps: [Action, string][] = [
      ["acknowledged", "Ada"],
      ["explained", "Ben"],
      ["closed", "Eva"],
    ];
    const events = [raised()];
    for (const [n, [action, who]] of steps.entries()) {
      const before = seenAfter(...events);
      expect(before && objectionTo(before, action)).toBeUndefined();
      events.push(event(action, n + 1, { who }));
      expect(seenAfter(...events)).toMatchObject({ state: action, who });
    }
    expect(seenAfter(...events)?.events).toHaveLength(4);
  });

  it("is not closed unexplained, nor while it lasts, nor twice, nor acknowledged twice", () => {
    const lasting = raised({ lasts: true });
    const refused = (action: Action, ...events: ReturnType<typeof event>[]) => {
      const incident = seenAfter(...events);
      return incident && objectionTo(incident, action);
    };
    expect(refused("closed", raised())).toBe("incident.unexplained");
    expect(refused("closed", raised(), event("acknowledged", 1))).toBe("incident.unexplained");
    expect(refused("closed", lasting, event("explained", 1))).toBe("incident.lasts");
    expect(refused("closed", lasting, event("explained", 1), event("ended", 2))).toBeUndefined();
    expect(refused("closed", lasting, event("ended", 1), event("explained", 2), event("repeated", 3))).toBe(
      "incident.lasts",
    );
    expect(refused("acknowledged", raised(), event("acknowledged", 1))).toBe("incident.state");
    for (const action of ["acknowledged", "explained", "closed"] as const)
      expect(refused(action, raised(), event("explained", 1), event("closed", 2))).toBe("incident.state");
  });

  it("escalates while nobody has acknowledged it, three times at most, and sooner the graver it is", () => {
    const { major } = ESCALATE_MS;
    const incident = seenAfter(raised());
    expect(incident && mustEscalate(incident, major - 1)).toBe(false);
    expect(incident && mustEscalate(incident, major)).toBe(true);
    const again = seenAfter(raised(), event("escalated", major));
    expect(again && mustEscalate(again, 2 * major - 1)).toBe(false);
    expect(again && mustEscalate(again, 2 * major)).toBe(true);
    const taken = seenAfter(raised(), event("acknowledged", 1));
    expect(taken && mustEscalate(taken, 10 * major)).toBe(false);
    const thrice = seenAfter(raised(), ...[1, 2, 3].map((n) => event("escalated", n * major)));
    expect(thrice && mustEscalate(thrice, 100 * major)).toBe(false);
    const notice = seenAfter(raised({ severity: "notice" }));
    expect(notice && mustEscalate(notice, Number.MAX_SAFE_INTEGER)).toBe(false);
    expect(ESCALATE_MS.critical).toBeLessThan(major);
  });

  it("property: whatever comes in whatever order, nothing is lost, and nothing comes of what was never raised", () => {
    const kinds: EventKind[] = ["raised", "repeated", "ended", "escalated", "acknowledged", "explained", "closed"];
    const arbitrary = fc.array(
      fc.record({ kind: fc.constantFrom(...kinds), incident: fc.constantFrom("one", "two") }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(arbitrary, (all) => {
        const incidents: Incidents = new Map();
        for (const [n, { kind, incident }] of all.entries()) applyEvent(incidents, event(kind, n, { incident }));
        for (const id of ["one", "two"]) {
          const own = all.filter(({ incident }) => incident === id).map(({ kind }) => kind);
          const from = own.indexOf("raised");
          const found = incidents.get(id);
          expect(found === undefined).toBe(from < 0);
          if (found === undefined) continue;
          const rest = own.slice(from + 1).filter((kind) => kind !== "raised");
          expect(found.events.map(({ kind }) => kind)).toEqual(["raised", ...rest]);
          expect(found.times).toBe(1 + rest.filter((kind) => kind === "repeated").length);
          const acts = rest.filter((kind) => ["acknowledged", "explained", "closed"].includes(kind));
          expect(found.state).toBe(acts.at(-1) ?? "raised");
        }
      }),
    );
  });
});
