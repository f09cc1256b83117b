import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { describeError } from "./log.ts";
import { createMetrics } from "./metrics.ts";

const LOG = JSON.stringify(new URL("./log.ts", import.meta.url).href);

describe("the log", () => {
  it("writes JSON lines with time, level and service, in order, up to the moment of the exit", async () => {
    const script = `
      const log = (await import(${LOG})).createLog("toy");
      for (let n = 0; n < 2000; n++) log.info({ n }, "line");
      log.fatal({ err: new Error("the end") }, "last");
      process.kill(process.pid, "SIGKILL");`;
    const failed: { stdout: string } = await promisify(execFile)(process.execPath, [
      "--import",
      "tsx",
      "--input-type=module",
      "-e",
      script,
    ]).catch((error) => error);
    const lines = failed.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.slice(0, -1).map(({ n }) => n)).toEqual(Array.from({ length: 2000 }, (_, n) => n));
    expect(lines[0]).toEqual({
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      service: "toy",
      n: 0,
      msg: "line",
    });
    expect(lines.at(-1)).toMatchObject({ level: "fatal", msg: "last", err: { type: "Error", message: "the end" } });
  });

  it("says what an error is and why, and leaves out the values that drivers hang on it", () => {
    const cause = Object.assign(new Error("duplicate key"), { code: "23505", detail: "Key (votes)=(4711) exists" });
    const logged = describeError(new Error("not stored", { cause }));
    expect(logged).toMatchObject({ type: "Error", message: "not stored", cause: { code: "23505" } });
    expect(JSON.stringify(logged)).not.toContain("4711");
    const refused = new AggregateError([
      new Error("connect ECONNREFUSED ::1"),
      new Error("connect ECONNREFUSED 127.0.0.1"),
    ]);
    expect(describeError(refused).errors?.map(({ message }) => message)).toEqual(refused.errors.map((e) => e.message));
    const circle = new Error("a");
    circle.cause = circle;
    expect(JSON.stringify(describeError(circle)).length).toBeLessThan(100_000);
    expect(describeError("thrown text")).toEqual({ type: "string", message: "thrown text" });
  });
});

describe("metrics", () => {
  it("have one prefix, one registry per service, and standard names for the process", async () => {
    const [one, two] = [createMetrics("one"), createMetrics("two")];
    one.counter("entries_total", "Entries.", ["state"]).inc({ state: "IT" }, 3);
    one.gauge("scrutin_position", "Position.").set(7);
    one.histogram("batch_seconds", "Batches.", [], [0.1, 1]).observe(0.5);
    const text = await one.registry.metrics();
    expect(text).toContain('scrutin_entries_total{state="IT",service="one"} 3');
    expect(text).toContain('scrutin_position{service="one"} 7');
    expect(text).toContain('scrutin_batch_seconds_bucket{le="1",service="one"} 1');
    expect(text).toContain("process_cpu_seconds_total");
    expect(await two.registry.metrics()).not.toContain("scrutin_entries_total");
    expect(() => one.counter("entries_total", "Again.")).toThrow("already been registered");
  });
});
