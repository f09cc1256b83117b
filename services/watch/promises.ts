import { kindOf } from "./incidents/catalogue.ts";
import type { Incident } from "./incidents/life.ts";
import type { Views } from "./status.ts";

/** One of the four promises as a light: how it stands, and what says so. */
export interface PromiseLight {
  promise: 1 | 2 | 3 | 4;
  title: string;
  /** `broken`: something critical that nobody has explained. `doubted`: something else is open. `unknown`: what would tell is away. */
  light: "kept" | "doubted" | "broken" | "unknown";
  evidence: string[];
}

const TITLES = [
  "Nothing unsigned gets in",
  "Nothing gets out early",
  "Nothing acknowledged is lost or altered",
  "Anyone can recount",
] as const;

/** The four lights. No figure of the count is in them. */
export function promiseLights(views: Omit<Views, "incidents">, incidents: readonly Incident[]): PromiseLight[] {
  const { record, bus } = views;
  const blind = [
    ...(record.postgres.well ? [] : ["Postgres does not answer."]),
    ...(bus.nats.well ? [] : ["NATS does not answer."]),
  ];
  const evidence: string[][] = [signed(views), embargo(views), kept(views), recounted(views)];
  return TITLES.map((title, n) => {
    const promise = (n + 1) as PromiseLight["promise"];
    const open = incidents.filter(({ code, state }) => state !== "closed" && kindOf(code).promise === promise);
    const grave = open.filter(({ severity, state }) => severity === "critical" && state !== "explained");
    const doubts = open.filter(({ severity }) => severity !== "notice");
    const light = grave.length > 0 ? "broken" : blind.length > 0 ? "unknown" : doubts.length > 0 ? "doubted" : "kept";
    const counts =
      open.length === 0
        ? "No incident is open."
        : `${open.length} ${open.length === 1 ? "incident is" : "incidents are"} open.`;
    return { promise, title, light, evidence: [...blind, ...(evidence[n] ?? []), counts] };
  });
}

function signed({ record: { feeds } }: Omit<Views, "incidents">): string[] {
  const statements = feeds.reduce((sum, feed) => sum + feed.statements, 0);
  return [`${number(statements)} statements of offices are in the log, each verified at the door and by the ledger.`];
}

function embargo({ record: { gate } }: Omit<Views, "incidents">): string[] {
  if (gate.lifted) return [`Lifted at ${gate.liftedAt}.`];
  return [
    `In force, ${gate.reasons.length === 0 ? "and nothing that is seen here stands against the lift" : `for ${gate.reasons.length} reasons`}.`,
  ];
}

function kept({ record: { log, witnesses } }: Omit<Views, "incidents">): string[] {
  if (log === null) return ["The log has not begun."];
  const lines = [`The log has ${number(log.size)} ${log.size === 1 ? "entry" : "entries"}, signed at ${log.signedAt}.`];
  if (witnesses.quorum > 0)
    lines.push(
      `${witnesses.quorum} of ${witnesses.each.length} witnesses have cosigned ${number(witnesses.size)} of them.`,
    );
  return lines;
}

function recounted({ canary }: Omit<Views, "incidents">): string[] {
  switch (canary.state) {
    case "off":
      return ["No canary recounts the releases here."];
    case "nothing-yet":
      return ["Nothing has been released yet."];
    case "running":
      return ["The canary recounts the first release."];
    case "holds":
      return [
        `The canary recounted every release up to ${canary.release} from the public log at ${canary.at}: it holds.`,
      ];
    default:
      return [`The canary at ${canary.at}: ${canary.says}`];
  }
}

const number = (value: number) => value.toLocaleString("en-GB");
