import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Harness, startHarness } from "../../test/harness.ts";
import { eventually } from "../../test/ledger.ts";
import { follow } from "./follow.ts";
import { incidentsOf } from "./incidents.ts";
import { createHeardLog } from "./log-fixture.ts";
import { STREAMS, SUBJECTS } from "./nats.ts";

describe("on a real bus", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness();
  });
  afterAll(() => harness.close());

  it("follows hints at once, and looks without them, one round at a time", async () => {
    const nc = await harness.nats("tabulate");
    const stack = await harness.nats("services");
    let rounds = 0;
    let inside = 0;
    let pauseMs = 60_000;
    const follower = follow({
      nc,
      subjects: [SUBJECTS.appended],
      round: async () => {
        expect(++inside).toBe(1);
        await nc.flush();
        inside--;
        rounds++;
        return pauseMs;
      },
      fail: (error) => expect.unreachable(String(error)),
    });
    await eventually(() => rounds === 1);
    for (let n = 0; n < 50; n++) stack.publish(SUBJECTS.appended, "{}");
    await eventually(() => rounds >= 2);
    pauseMs = 1;
    follower.wake();
    await eventually(() => rounds >= 10); // without a hint
    await follower.stop();
    const ended = rounds;
    stack.publish(SUBJECTS.appended, "{}");
    await stack.flush();
    await nc.flush();
    expect(rounds).toBe(ended);
  });

  it("tells of a round that fails, and makes no more", async () => {
    const nc = await harness.nats("tabulate");
    const failures: unknown[] = [];
    const follower = follow({
      nc,
      subjects: [],
      round: () => Promise.reject(new Error("unforeseen")),
      fail: (error) => failures.push(error),
    });
    await eventually(() => failures.length === 1);
    await follower.stop();
    expect(String(failures[0])).toContain("unforeseen");
  });

  it("raises incidents that are kept, and says in the log when NATS does not take one", async () => {
    const nc = await harness.nats("recount");
    const { log, lines } = createHeardLog();
    const raise = incidentsOf("recount", nc, log);
    await raise({ code: "recount.differs", about: "states.0" });
    const jsm = await (await harness.nats("stack")).jetstreamManager();
    const { message } = await jsm.streams
      .getMessage(STREAMS.events, { last_by_subj: SUBJECTS.incident("recount") })
      .then((stored) => ({ message: stored.json<Record<string, unknown>>() }));
    expect(message).toEqual({ code: "recount.differs", about: "states.0" });
    await nc.close();
    await raise({ code: "log.broken" });
    expect(lines.map(({ msg }) => msg)).toEqual(["incident", "incident", "the incident could not be published"]);
  });
});
