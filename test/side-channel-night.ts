import { createHash } from "node:crypto";
import type { Child } from "../infra/stack/processes.ts";
import { type Sample, sampleCommon, sampleDefinition, signSample } from "../shared/definition/sample.ts";
import type { Statement, Tally } from "../shared/statement/types.ts";
import { type Harness, startHarness, watchHeaders } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { listen, type SeenMessage } from "./side-channel-seen.ts";

/**
 * Two nights that differ in their figures alone, on every service: the same keys, the same statements of the same units in the same
 * order. In the calm one figures are small and nothing is wrong with them; in the other they have nine digits, some contradict
 * themselves, some fell and say why, others won, and so a declaration comes too early. Luxembourg never says that its polls are
 * closed, so neither is lifted.
 */

export type Kind = "calm" | "loud";

export interface Night {
  harness: Harness;
  /** Every service by its name. */
  services: Map<string, Child>;
  /** Hashes of the statements, in the order of the log from entry 1 on. */
  statements: string[];
  /** The door's answers, in the order of posting: status and length. */
  answers: { status: number; bytes: number; verdict: string; findings: number }[];
  /** Of what was posted. */
  sentBytes: number[];
  /** Everything that went over the bus. */
  messages: SeenMessage[];
}

const MANY = 1_000;

/** So many units that a part with the figures of all is of another size than one without. */
export const sideChannelSample = (): Sample =>
  sampleDefinition({
    edit: ({ states }) => {
      const ids = Array.from({ length: MANY }, (_, n) => `AT-X${String(n).padStart(4, "0")}`);
      states[0]?.units.push({ constituency: "AT", kind: "station", ids });
    },
  });

type Figures = Omit<Tally, "unit" | "version" | "status" | "reason">;

const CALM: Figures = { electors: 9, ballots: 6, blank: 0, invalid: 0, votes: { AT01: 4, AT02: 2 } };
const LOUD: Figures = {
  electors: 900_000_000,
  ballots: 600_000_000,
  blank: 0,
  invalid: 0,
  votes: { AT01: 100_000_000, AT02: 100_000_000, AT03: 399_999_998, AT90: 2 },
};

const tally = (unit: string, version: number, figures: Figures, reason?: string): Tally => {
  return { unit, version, status: "final", ...figures, ...(reason === undefined ? {} : { reason }) };
};
const votesOf = (votes: Tally["votes"], more: Partial<Figures> = {}): Figures => ({ ...LOUD, ...more, votes });

type Said = { kids: string[]; say: (sample: Sample) => Statement };

/** What is said, in order. Sequences and nonces do not depend on the night, only on its seed. */
function statementsOf(kind: Kind, seed: number): Said[] {
  const calm = kind === "calm";
  let sequence = 0;
  let count = 0;
  const by = (kids: string[], of: string, body: object, at = ++sequence): Said => {
    const drawn = createHash("sha256").update(`${seed} ${++count}`).digest().subarray(0, 16);
    const nonce = drawn.toString("base64url");
    return { kids, say: (sample) => ({ ...sampleCommon(sample, of, at), nonce, ...body }) as Statement };
  };
  const austria = (...tallies: Tally[]) => by(["AT-1"], "AT", { type: "tally", tallies });
  const either = (one: Figures, other: Figures) => (calm ? one : other);
  const one = either(CALM, LOUD);
  const seats = (said: Record<string, number>) =>
    by(["AT-1"], "AT", { type: "seats", constituency: "AT", seats: said });
  const many = Array.from({ length: MANY }, (_, n) => tally(`AT-X${String(n).padStart(4, "0")}`, 1, one));
  return [
    by(["AT-1"], "AT", { type: "polls", polls: "closed" }),
    austria(tally("AT-1", 1, one)),
    // Contradicts itself in every way that it can.
    austria(
      tally("AT-2", 1, either(CALM, votesOf({ AT99: 7 }, { electors: 1, blank: 500_000_000, invalid: 400_000_000 }))),
    ),
    // Accepted, with warnings.
    austria(
      tally("AT-3", 1, either(CALM, votesOf({ AT01: 100_000_000 }, { blank: 499_999_999, invalid: 1 }))),
      tally("AT-4", 1, either(CALM, votesOf({}, { electors: 600_000_000, blank: 0, invalid: 600_000_000 }))),
      tally("AT-P", 1, one),
    ),
    // A correction that lowers a figure and says why, and one that does not say.
    austria(
      calm
        ? tally("AT-1", 2, CALM)
        : tally(
            "AT-1",
            2,
            votesOf({ AT01: 1 }, { ballots: 1 }),
            "Two ballot boxes had been counted twice, says the protocol.",
          ),
    ),
    austria(tally("AT-3", 2, either(CALM, votesOf({ AT02: 1 }, { ballots: 1 })))),
    austria(...many),
    seats(calm ? { AT01: 9, AT02: 9, AT03: 2 } : { AT03: 20 }),
    seats(calm ? { AT01: 20 } : { AT01: 100, AT02: 100, AT03: 100, AT90: 200 }),
    by(["LU-1", "LU-2"], "LU", {
      type: "tally",
      tallies: [tally("LU-11", 1, { ...one, votes: calm ? { LU01: 7 } : { LU01: 400_000_000, LU02: 600_000_000 } })],
    }),
    // Every unit of Austria is in, or one is not.
    by(["AT-1", "AT-2"], "AT", { type: "declaration", declares: "final" }),
    // Another payload under a number that is used.
    by(["AT-1"], "AT", { type: "tally", tallies: [tally("AT-1", 3, one)] }, 2),
    austria(tally("AT-2", 2, one)),
  ];
}

const SERVICES = ["tabulate", "recount", "release"] as const;

/** How many events of this kind watch has written about states that are overdue. */
export async function incidentsOf({ query }: Pick<Harness, "query">, kind: "raised" | "ended"): Promise<number> {
  const rows = await query(
    `select from watch.incident_event e where kind = $1 and exists (select from watch.incident_event r
       where r.incident = e.incident and r.detail ->> 'code' = 'feed.overdue')`,
    [kind],
  );
  return rows.length;
}

/** Starts every service, posts everything at the door, one after the other, and waits until all have come to the end of the log. */
export async function holdNight(kind: Kind, sample: Sample, seed = 1): Promise<Night> {
  const harness = await startHarness({ sample });
  const messages = listen(await harness.nats("services"));
  const services = new Map<string, Child>();
  services.set("ledger", await harness.start("ledger"));
  const ingest = await harness.start("ingest");
  services.set("ingest", ingest);
  for (const service of SERVICES) services.set(service, await harness.start(service, moreFor(service, ingest.url)));
  const addresses = Object.fromEntries([...services].map(([name, { url }]) => [name, url]));
  services.set("watch", await harness.start("watch", { SCRUTIN_SERVICES: JSON.stringify(addresses) }));
  // Both states are overdue, which watch tells at its first look, and one of them only until it has closed: in both nights alike.
  await eventually(async () => (await incidentsOf(harness, "raised")) === 2);
  const night: Night = { harness, services, statements: [], answers: [], sentBytes: [], messages };
  const said = statementsOf(kind, seed);
  for (const { kids, say } of said) await post(night, ingest.url, signSample(sample, say(sample), ...kids), kids);
  await settled(night);
  // Whoever posts the same bytes again is given the same receipt: over the bus it comes another way.
  for (const { kids, say } of said) await post(night, ingest.url, signSample(sample, say(sample), ...kids), kids, true);
  return night;
}

const moreFor = (service: string, ingestUrl: string): Record<string, string> =>
  service === "tabulate" ? { SCRUTIN_INGEST_URL: ingestUrl } : {};

async function post(night: Night, url: string, jws: Uint8Array, kids: string[], again = false): Promise<void> {
  const type = kids.length === 1 ? "application/jose" : "application/jose+json";
  const headers = { "content-type": type, prefer: "wait=30" };
  const response = await fetch(`${url}/v1/statements`, { method: "POST", headers, body: Buffer.from(jws) });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`the door answered ${response.status}: ${text}`);
  const { statement, verdict, findings } = JSON.parse(text) as {
    statement: string;
    verdict: string;
    findings: unknown[];
  };
  if (!again) night.statements.push(statement);
  night.sentBytes.push(jws.length);
  night.answers.push({ status: response.status, bytes: Buffer.byteLength(text), verdict, findings: findings.length });
}

/** Both counts have answered for the whole log, and kept what they counted; whoever watches has seen it. */
async function settled({ harness, services, statements }: Night): Promise<void> {
  const size = statements.length + 1;
  for (const [table, column] of [
    ["tabulate.candidate", "size"],
    ["recount.answer", "size"],
    ["tabulate.position", "size"],
    ["recount.position", "size"],
  ])
    await eventually(async () => {
      const [row] = await harness.query<{ at: string | null }>(`select max(${column}) as at from ${table}`);
      return Number(row?.at) === size;
    }, 60_000);
  const watch = services.get("watch")?.url;
  await eventually(async () => {
    const { log } = (await (await fetch(`${watch}/v1/status`, { headers: watchHeaders })).json()) as {
      log: { size: number } | null;
    };
    return log?.size === size;
  });
  const release = services.get("release")?.url;
  await eventually(async () => {
    const { log } = (await (await fetch(`${release}/readyz`)).json()) as { log: number };
    return log === size;
  });
}
