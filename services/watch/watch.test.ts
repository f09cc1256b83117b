import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../../infra/stack/processes.ts";
import { SAMPLE_CLOSE, sampleDefinition } from "../../shared/definition/sample.ts";
import type { Raiser } from "../../shared/platform/incidents.ts";
import { SUBJECTS } from "../../shared/platform/nats.ts";
import { type Harness, startHarness, watchHeaders } from "../../test/harness.ts";
import { eventually } from "../../test/ledger.ts";
import { openWrittenLog, speakers, type WrittenLog } from "../../test/written-log.ts";
import type { Status } from "./status.ts";

/** The service as it runs, on real servers. */

/** Words of a verdict or of a result: none of them may stand in anything that watch says before the lift. */
const TELLING = /accepted|quarantin|verdict|judgement|votes|ballots|electors|turnout|seats|F\.\d|W\.\d/i;

let harness: Harness;
let log: WrittenLog;
let say: ReturnType<typeof speakers>;
let release: Child;
let watch: Child;

const statusOf = async (child: Child) =>
  (await (await fetch(`${child.url}/v1/status`, { headers: watchHeaders })).json()) as Status;
const until = (what: (status: Status) => boolean, child = watch) => eventually(async () => what(await statusOf(child)));

beforeAll(async () => {
  harness = await startHarness();
  log = await openWrittenLog(harness.databaseUrl("ledger"), harness.sample);
  say = speakers(harness.sample);
  release = await harness.start("release");
  watch = await harness.start("watch", { SCRUTIN_SERVICES: JSON.stringify({ release: release.url }) });
});

afterAll(async () => {
  await log.close();
  await harness.close();
});

describe("the watch service", () => {
  it("finds the servers and the services well", async () => {
    await until(({ dependencies, services }) => dependencies.nats.well && services.every(({ ready }) => ready));
    const { dependencies, services, log: head, incidents } = await statusOf(watch);
    expect(services).toMatchObject([{ name: "release", up: true, ready: true, checks: { chain: true } }]);
    expect(dependencies.postgres).toMatchObject({ well: true, ownLog: true });
    expect(dependencies.nats.streams.map(({ name }) => name)).toEqual(["STATEMENTS", "EVENTS", "CLOCK"]);
    expect(head?.size).toBe(1);
    expect(incidents.filter(({ service }) => service !== "watch")).toEqual([]);
    expect((await fetch(`${watch.url}/readyz`)).status).toBe(200);
  });

  it("hears the feeds by what is public, and nothing of what was decided", async () => {
    await log.append(say.tally("AT-1"), { ...say.tally("AT-2"), verdict: "quarantined" });
    await log.append(say.closed("LU"));
    // A look is several queries: what it shows of one batch may be a look apart.
    await until(({ log: head, feeds }) => head?.size === 4 && feeds[1]?.polls === "closed" && feeds[0]?.tallies === 2);
    const { feeds, gate, releases } = await statusOf(watch);
    expect(feeds).toMatchObject([
      { state: "AT", statements: 2, tallies: 2, units: 5, polls: "open", feed: "overdue" },
      { state: "LU", statements: 1, tallies: 0, units: 3, polls: "closed", feed: "reporting" },
    ]);
    expect(gate).toMatchObject({ lifted: false, lastClose: new Date(SAMPLE_CLOSE).toISOString() });
    expect(gate.reasons.map(({ code, says }) => [code, says.slice(0, 2)])).toEqual([["closure.missing", "AT"]]);
    expect(releases).toEqual({ given: null, published: null });
    for (const path of ["/", "/v1/status", "/metrics", "/readyz"])
      expect(await (await fetch(watch.url + path)).text()).not.toMatch(TELLING);
  });

  it("shows incidents, the newest first, and after a kill -9 those from before it too", async () => {
    const raise = async (event: unknown, by: Raiser = "ledger") =>
      (await harness.nats(by)).jetstream().publish(SUBJECTS.incident(by), JSON.stringify(event));
    await raise({ code: "sequence.gap", about: "AT-1 3" });
    await raise({ code: "recount.differs", service: "release" }, "recount");
    await raise({ code: "key.equivocation" });
    const codes = ["incident.malformed", "key.equivocation", "recount.differs", "sequence.gap"];
    for (let n = 0; n < 3; n++) await raise(["not an incident"]);
    const raisedOf = ({ incidents }: Status) => incidents.filter(({ service }) => service !== "watch");
    await until((status) => raisedOf(status).length === 4);
    const incidents = raisedOf(await statusOf(watch));
    // The gravest first.
    expect(incidents.map(({ severity }) => severity)).toEqual(["critical", "critical", "minor", "minor"]);
    expect(incidents.map(({ code }) => code).sort()).toEqual(codes);
    expect(incidents.find(({ code }) => code === "incident.malformed")?.times).toBe(3);
    // By whose key it came, whatever it says of itself.
    expect(incidents.find(({ code }) => code === "recount.differs")?.service).toBe("recount");
    await eventually(async () => {
      const rows = await harness.query("select from watch.incident_event where detail ->> 'service' <> 'watch'");
      return rows.length >= 4;
    });
    watch.kill("SIGKILL");
    await eventually(() => watch.restarts() === 1);
    await eventually(async () => {
      const status = await statusOf(watch).catch(() => undefined);
      return status !== undefined && raisedOf(status).length === 4;
    });
    expect(
      raisedOf(await statusOf(watch))
        .map(({ id }) => id)
        .sort(),
    ).toEqual(incidents.map(({ id }) => id).sort());
    await until(({ feeds }) => feeds[0]?.statements === 2);
  });

  it("tells of the lift and of what is published", async () => {
    const at = "2024-06-09T21:31:00.000Z";
    const clocks = { process: at, postgres: at, nats: at };
    await log.append(say.closed("AT"));
    await log.append(
      say.signed({ type: "lift", ...say.common("EU", "tabulate-1"), clocks }, "tabulate-1", "recount-1"),
    );
    await until(({ gate }) => gate.lifted);
    expect((await statusOf(watch)).gate.reasons).toEqual([]);
    const published = { number: 1, size: 5, sha256: "a".repeat(64) };
    const nc = await harness.nats("release");
    await nc.jetstream().publish(SUBJECTS.published, JSON.stringify(published));
    await until(({ releases }) => releases.published !== null);
    expect((await statusOf(watch)).releases.published).toEqual(published);
  });

  it("says that a service is down", async () => {
    await release.stop();
    await until(({ ill }) => ill.includes("service release: down"));
  });

  it("is there to say that Postgres and NATS are away", async () => {
    const nowhere = {
      SCRUTIN_SERVICES: "{}",
      DATABASE_URL: "postgres://scrutin_watch:none@127.0.0.1:1/none",
      NATS_URL: "nats://127.0.0.1:1",
    };
    const alone = await harness.start("watch", nowhere, "watch-alone");
    await until(({ ill }) => ill.length === 3, alone);
    const { ill, log: head, gate } = await statusOf(alone);
    expect(ill.slice(0, 2)).toEqual(["Postgres does not answer", "NATS does not answer"]);
    expect(head).toBeNull();
    expect(gate.lifted).toBe(false);
    expect(gate.reasons.map(({ code }) => code)).toContain("clock.missing");
    expect((await fetch(`${alone.url}/readyz`)).status).toBe(503);
    // Nothing can be written, and it is shown all the same.
    await until(({ incidents }) => incidents.some(({ code }) => code === "postgres.away"), alone);
  });

  it("tells a log of another definition from its own", async () => {
    const other = await startHarness({ sample: sampleDefinition({ seed: "other" }) });
    await (await openWrittenLog(other.databaseUrl("ledger"), other.sample)).close();
    const more = { SCRUTIN_SERVICES: "{}", DATABASE_URL: other.databaseUrl("watch") };
    const mistaken = await harness.start("watch", more, "watch-mistaken");
    await until(({ ill }) => ill.includes("the log in Postgres is about another definition"), mistaken);
    expect(await (await fetch(`${mistaken.url}/readyz`)).json()).toMatchObject({ checks: { definition: false } });
    await mistaken.stop();
    await other.close();
  });
});
