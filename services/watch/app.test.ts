import { describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, sampleDefinition } from "../../shared/definition/sample.ts";
import { NOW, type Scene, serviceView, watchOf } from "./fixture.ts";
import type { Status } from "./status.ts";

const ISO = new Date(NOW).toISOString();
const sample = sampleDefinition();

const read = async (scene: Scene) => {
  const { app, script } = watchOf(scene);
  return (await (await app.request("/v1/status", { headers: script })).json()) as Status;
};

describe("watch", () => {
  it("says in one document that all is well", async () => {
    const document = await read({ services: [serviceView("ledger")] });
    expect(document).toMatchObject({ well: true, ill: [], mode: "exercise", definition: sample.hash, at: ISO });
    expect(document.promises.map(({ light }) => light)).toEqual(["kept", "kept", "kept", "kept"]);
    expect(document.gate.reasons.map(({ code }) => code)).toContain("closure.missing");
  });

  it.each<[string, Scene, string]>([
    ["a service is down", { services: [serviceView("ledger", { up: false, ready: false })] }, "service ledger: down"],
    ["a service is not ready", { services: [serviceView("ledger", { ready: false })] }, "service ledger: not ready"],
    ["Postgres is away", { record: { postgres: { well: false, since: ISO } } }, "Postgres does not answer"],
    ["the log is not ours", { record: { ownLog: false } }, "the log in Postgres is about another definition"],
    ["NATS is away", { bus: { nats: { well: false, since: null, streams: [] } } }, "NATS does not answer"],
    ["a feed is overdue", { now: SAMPLE_CLOSE + 120_000 }, "overdue: no word that the polls are closed from AT, LU"],
  ])("says so in words when %s", async (_, scene, says) => {
    const document = await read(scene);
    expect(document.well).toBe(false);
    expect(document.ill).toContain(says);
  });

  it("keeps no promise for certain when what would tell is away", async () => {
    const { promises } = await read({ record: { postgres: { well: false, since: ISO } } });
    expect(new Set(promises.map(({ light }) => light))).toEqual(new Set(["unknown"]));
  });

  it("is ready when Postgres and NATS answer, and shows its page when they do not", async () => {
    expect((await watchOf({}).app.request("/readyz")).status).toBe(200);
    const { app } = watchOf({ record: { postgres: { well: false, since: null } } });
    expect((await app.request("/readyz")).status).toBe(503);
    expect((await app.request("/")).status).toBe(200);
  });

  it.each(["exercise", "live"] as const)("carries the mode %s in every answer", async (mode) => {
    const { app, script } = watchOf({ mode });
    for (const path of ["/", "/v1/status", "/healthz", "/readyz", "/metrics", "/v1/codes", "/nothing"])
      expect([path, (await app.request(path)).headers.get("scrutin-mode")]).toEqual([path, mode]);
    expect((await (await app.request("/")).text()).includes("EXERCISE")).toBe(mode === "exercise");
    expect(await (await app.request("/v1/status", { headers: script })).json()).toMatchObject({ mode });
  });

  it("lets its page load nothing from elsewhere, and be framed by nobody", async () => {
    const { headers } = await watchOf({}).app.request("/");
    const policy = headers.get("content-security-policy") ?? "";
    for (const part of ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"])
      expect(policy).toContain(part);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
  });

  it("says what to do when its page was not built", async () => {
    const answer = await watchOf({}, { shell: undefined }).app.request("/");
    expect([answer.status, await answer.text()]).toEqual([503, expect.stringContaining("npm run build")]);
  });
});
